// What two PostgreSQL servers have told, compared: what would fail on new, and what may differ.
#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "control/service/postgres_checks.h"
#include "control/service/postgres_definitions.h"

namespace crossfade {

namespace {

int major_of(const std::string& version) {
  int major = 0;
  std::from_chars(version.data(), version.data() + version.size(), major);
  return major;
}

std::uint64_t number_of(const PostgresSurvey& told, const char* setting) {
  std::uint64_t number = 0;
  const auto found = told.settings.find(setting);
  if (found == told.settings.end()) return 0;
  const std::string& text = found->second;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string text_of(const PostgresSurvey& told, const char* setting) {
  const auto found = told.settings.find(setting);
  return found == told.settings.end() ? "(none)" : found->second;
}

Check check_version(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  const std::string& before = old_told.probe.version;
  const std::string& after = new_told.probe.version;
  const bool ok = major_of(after) >= major_of(before);
  return {.name = "version",
          .ok = ok,
          .detail = "old is PostgreSQL " + before + ", new is PostgreSQL " + after +
                    (ok ? "" : ": new may lack what clients' statements use")};
}

Check check_encoding(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  if (old_told.encoding == new_told.encoding) {
    return {.name = "encoding", .detail = "both databases are in " + old_told.encoding};
  }
  return {.name = "encoding",
          .ok = false,
          .detail = "the database is in " + old_told.encoding + " on old and in " +
                    new_told.encoding +
                    " on new: what one of them stores the other may not be able to; create it on "
                    "new with ENCODING '" +
                    old_told.encoding + "'"};
}

Check check_locale(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  if (old_told.locale == new_told.locale) {
    return {.name = "locale", .detail = "both databases have the locale " + old_told.locale};
  }
  return {.name = "locale",
          .detail = "the locale is " + old_told.locale + " on old and " + new_told.locale +
                    " on new: text may be sorted, compared and changed in case differently"};
}

Check check_databases(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  const auto lacking = missing(old_told.databases, new_told.databases);
  if (lacking.empty()) return {.name = "databases", .detail = "new has all databases of old"};
  return {.name = "databases",
          .detail = "new lacks the databases " + listed(lacking) +
                    ": their clients are refused on new; create those that are used"};
}

Check check_roles(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  const auto lacking = missing(old_told.roles, new_told.roles);
  if (lacking.empty()) {
    return {.name = "roles", .detail = "new has all roles of old that may log in"};
  }
  return {.name = "roles",
          .detail = "new lacks the roles " + listed(lacking) +
                    ": whoever logs in as one of them is refused on new; create those that are "
                    "used, with their passwords"};
}

Check check_extensions(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  const auto lacking = missing(old_told.extensions, new_told.extensions);
  if (!lacking.empty()) {
    return {.name = "extensions",
            .ok = false,
            .detail = "new lacks the extensions " + listed(lacking) +
                      ": statements that use them fail there; install them and CREATE EXTENSION"};
  }
  const auto others = differing(old_told.extensions, new_told.extensions, unequal);
  return {.name = "extensions",
          .detail = others.empty() ? "new has all extensions of old in the same versions"
                                   : "new has other versions of the extensions " + listed(others)};
}

// What is left to ordinary users of max_connections.
std::uint64_t room_of(const PostgresSurvey& told) {
  const std::uint64_t all = number_of(told, "max_connections");
  const std::uint64_t kept =
      number_of(told, "superuser_reserved_connections") + number_of(told, "reserved_connections");
  return all > kept ? all - kept : 0;
}

Check check_connections(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  const std::uint64_t before = room_of(old_told);
  const std::uint64_t after = room_of(new_told);
  const std::uint64_t left = after > new_told.sessions ? after - new_told.sessions : 0;
  const bool ok = left >= old_told.sessions;
  std::string detail = "old takes " + std::to_string(before) + " clients and has " +
                       std::to_string(old_told.sessions) + ", new takes " + std::to_string(after) +
                       " and has " + std::to_string(new_told.sessions);
  if (!ok) {
    detail += ": not all of them would find room; raise max_connections on new";
  } else if (after < before) {
    detail += ": as many as may come to old would not find room there";
  }
  return {.name = "connections", .ok = ok, .detail = std::move(detail)};
}

// For information: what it takes to carry rows by logical replication, and to keep commits.
Check check_wal(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  const auto said = [](const PostgresSurvey& told) {
    return "wal_level " + text_of(told, "wal_level") + ", " +
           text_of(told, "max_replication_slots") + " replication slots, " +
           text_of(told, "max_wal_senders") + " WAL senders, fsync " + text_of(told, "fsync") +
           ", synchronous_commit " + text_of(told, "synchronous_commit");
  };
  return {.name = "wal", .detail = "old: " + said(old_told) + "; new: " + said(new_told)};
}

// The settings that let a crash take back what was committed.
std::vector<std::string> lax_settings(const PostgresSurvey& told) {
  std::vector<std::string> names;
  for (const char* setting : {"fsync", "full_page_writes", "synchronous_commit"}) {
    if (text_of(told, setting) == "off") names.emplace_back(setting);
  }
  return names;
}

// Where it is asked for, new is asked to flush what it commits, whatever old does, and a commit
// that it has answered outlives a crash as it would have on old.
Check check_durability(const PostgresSurvey& old_told, const PostgresSurvey& new_told,
                       const StrategySpec& strategy) {
  const auto before = lax_settings(old_told);
  const auto after = lax_settings(new_told);
  if (after.empty()) return {.name = "durability", .detail = "new keeps what it has committed"};
  const bool never = text_of(new_told, "fsync") == "off";
  const bool laxer =
      never || !std::includes(before.begin(), before.end(), after.begin(), after.end());
  const auto* big_bang = std::get_if<BigBangSpec>(&strategy);
  const bool asked = big_bang != nullptr && big_bang->durability;
  std::string detail = "new has " + listed(after) + " off: a crash may take back what it committed";
  if (never) detail += " and leave it damaged";
  if (!laxer) detail += ", as on old";
  if (laxer && asked) detail += "; switch it on, or set strategy.durability to false";
  return {.name = "durability", .ok = !laxer || !asked, .detail = std::move(detail)};
}

Check check_settings(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  std::string others;
  for (const char* setting :
       {"standard_conforming_strings", "default_transaction_isolation", "DateStyle",
        "IntervalStyle", "TimeZone", "bytea_output", "search_path"}) {
    const std::string before = text_of(old_told, setting);
    const std::string after = text_of(new_told, setting);
    if (before == after) continue;
    others += (others.empty() ? "" : "; ") + std::string(setting) + " is " + before +
              " on old and " + after + " on new";
  }
  if (others.empty()) {
    return {.name = "settings", .detail = "settings that show in answers are equal on both"};
  }
  return {.name = "settings",
          .detail = others +
                    ": answers differ for clients that do not set them (as the sidecar's "
                    "user sees them)"};
}

Check check_tables(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  const auto lacking = missing(old_told.tables, new_told.tables);
  const auto others = differing(old_told.tables, new_told.tables, unequal);
  const auto added = missing(new_told.tables, old_told.tables);
  std::string detail = std::to_string(old_told.tables.size()) + " tables on old, " +
                       std::to_string(new_told.tables.size()) + " on new";
  if (lacking.empty() && others.empty() && added.empty()) {
    return {.name = "tables", .detail = detail + ", with the same columns"};
  }
  if (!lacking.empty()) detail += "; new lacks " + listed(lacking);
  if (!others.empty()) detail += "; other columns on new: " + listed(others);
  if (!added.empty()) detail += "; on new only: " + listed(added);
  return {.name = "tables",
          .detail = detail + ". Statements that need them fail, or answer otherwise, on new"};
}

// A read is one by old's word; on new it may write.
Check check_functions(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  const auto lacking = missing(old_told.functions, new_told.functions);
  const auto worse = differing(old_told.functions, new_told.functions,
                               [](const std::string& before, const std::string& after) {
                                 return before != "v" && after == "v";
                               });
  std::string detail = std::to_string(old_told.functions.size()) + " functions on old, " +
                       std::to_string(new_told.functions.size()) + " on new";
  if (!lacking.empty()) detail += "; new lacks " + listed(lacking);
  if (worse.empty()) return {.name = "functions", .detail = std::move(detail)};
  return {.name = "functions",
          .ok = false,
          .detail = detail + "; volatile on new and not on old: " + listed(worse) +
                    ". Statements with them are taken for reads by old's word, and may write on "
                    "new: make them equal, or say \"write\" of them in the interlay's sql"};
}

// Not whether they are one server: server_pairs.h has that.
Check check_origin(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  const std::string& before = old_told.system_identifier;
  const std::string& after = new_told.system_identifier;
  if (before.empty() || after.empty()) {
    return {.name = "origin",
            .detail =
                "not both servers tell their system identifier to the sidecar's user "
                "(pg_control_system())"};
  }
  return {.name = "origin",
          .detail = before == after
                        ? "new is a copy of old, or one of both a copy of the other: they have one "
                          "system identifier"
                        : "old and new were made separately"};
}

}  // namespace

std::vector<Check> compare_surveys(const PostgresSurvey& old_told, const PostgresSurvey& new_told,
                                   const StrategySpec& strategy) {
  std::vector<Check> checks;
  for (Check (*check)(const PostgresSurvey&, const PostgresSurvey&) :
       {check_version, check_origin, check_encoding, check_locale, check_databases, check_roles,
        check_extensions, check_connections, check_wal, check_settings, check_tables,
        check_functions}) {
    checks.push_back(check(old_told, new_told));
  }
  for (Check& check : compare_definitions(old_told, new_told)) checks.push_back(std::move(check));
  checks.push_back(check_durability(old_told, new_told, strategy));
  return checks;
}

}  // namespace crossfade
