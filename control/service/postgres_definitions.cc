// Definitions, sequences and prepared transactions of two PostgreSQL servers, compared.
#include "control/service/postgres_definitions.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

namespace crossfade {

namespace {

constexpr std::size_t kNamed = 5;  // of those that a check finds; the others are counted

// "; new lacks …; other on new: …; on new only: …", as far as there are any.
std::string differences(const Texts& on_old, const Texts& on_new) {
  std::string text;
  const auto say = [&](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) text += (text.empty() ? "" : "; ") + std::string(what) + listed(names);
  };
  say("new lacks ", missing(on_old, on_new));
  say("other on new: ", differing(on_old, on_new, unequal));
  say("on new only: ", missing(on_new, on_old));
  return text;
}

Check compare(const char* name, const Texts& on_old, const Texts& on_new, const char* what,
              const char* effect) {
  const std::string found = differences(on_old, on_new);
  return {.name = name,
          .detail = found.empty() ? std::string("both have the same ") + what
                                  : std::string(what) + ": " + found + ". " + effect};
}

// Where a sequence stands. Nothing: not told, or it has not begun.
struct Position {
  std::int64_t step = 1;
  std::optional<std::int64_t> at;
  bool told = false;
};

Position position_of(const std::string& text) {
  Position found;
  const char* const end = text.data() + text.size();
  const char* rest = std::from_chars(text.data(), end, found.step).ptr;
  found.told = rest != end;
  if (!found.told) return found;
  std::int64_t at = 0;
  if (std::from_chars(rest + 1, end, at).ec == std::errc()) found.at = at;
  return found;
}

bool is_behind(const std::string& on_old, const std::string& on_new) {
  const Position before = position_of(on_old);
  const Position after = position_of(on_new);
  if (!before.at || !after.told) return false;
  if (!after.at) return true;
  return before.step > 0 ? *after.at < *before.at : *after.at > *before.at;
}

// Nothing moves them but nextval and setval: neither replication nor dual writes do.
Check check_sequences(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  const auto lacking = missing(old_told.sequences, new_told.sequences);
  const auto behind = differing(old_told.sequences, new_told.sequences, is_behind);
  const auto untold = differing(old_told.sequences, new_told.sequences,
                                [](const std::string& before, const std::string& after) {
                                  return !position_of(before).told || !position_of(after).told;
                                });
  std::string detail = std::to_string(old_told.sequences.size()) + " sequences on old";
  if (!lacking.empty()) detail += "; new lacks " + listed(lacking);
  if (!behind.empty()) {
    detail +=
        "; behind on new: " + listed(behind) +
        ". Set them forward with setval before new takes writes, or it gives out numbers that "
        "old has given";
  }
  if (!untold.empty()) detail += "; not told to the sidecar's user: " + listed(untold);
  if (lacking.empty() && behind.empty() && untold.empty()) detail += ", none is behind on new";
  return {.name = "sequences", .detail = std::move(detail)};
}

std::string named_with_database(const Texts& prepared) {
  std::vector<std::string> names;
  for (const auto& [gid, database] : prepared) names.push_back("'" + gid + "' in " + database);
  return listed(names);
}

bool takes_prepared(const PostgresSurvey& told) {
  const auto found = told.settings.find("max_prepared_transactions");
  return found == told.settings.end() || found->second != "0";
}

Check check_prepared(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
  std::string detail;
  const auto say = [&](const char* side, const Texts& prepared) {
    if (prepared.empty()) return;
    detail += (detail.empty() ? "" : "; ") + std::string(side) + " holds " +
              named_with_database(prepared);
  };
  say("old", old_told.prepared);
  say("new", new_told.prepared);
  if (!detail.empty()) {
    detail +=
        ": with its locks, until it is ended on the server that holds it. Once writes go to the "
        "other side COMMIT PREPARED does not find it there: end them before, or connect to that "
        "server";
  }
  if (takes_prepared(old_told) && !takes_prepared(new_told)) {
    detail += (detail.empty() ? "" : "; ") +
              std::string("new has max_prepared_transactions 0: PREPARE TRANSACTION fails there");
  }
  if (detail.empty()) detail = "no transaction is prepared on either side";
  return {.name = "prepared", .detail = std::move(detail)};
}

}  // namespace

// "a, b, c and 7 more".
std::string listed(const std::vector<std::string>& names) {
  std::string text;
  const std::size_t shown = std::min(names.size(), kNamed);
  for (std::size_t i = 0; i < shown; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > shown) text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

std::vector<std::string> missing(const std::set<std::string>& from,
                                 const std::set<std::string>& in) {
  std::vector<std::string> names;
  std::set_difference(from.begin(), from.end(), in.begin(), in.end(), std::back_inserter(names));
  return names;
}

std::vector<std::string> missing(const Texts& from, const Texts& in) {
  std::vector<std::string> names;
  for (const auto& [name, text] : from) {
    if (!in.contains(name)) names.push_back(name);
  }
  return names;
}

using Differ = std::function<bool(const std::string& on_old, const std::string& on_new)>;
std::vector<std::string> differing(const Texts& from, const Texts& in, const Differ& differ) {
  std::vector<std::string> names;
  for (const auto& [name, text] : from) {
    const auto other = in.find(name);
    if (other != in.end() && differ(text, other->second)) names.push_back(name);
  }
  return names;
}

std::vector<Check> compare_definitions(const PostgresSurvey& old_told,
                                       const PostgresSurvey& new_told) {
  return {
      compare("defaults", old_told.defaults, new_told.defaults, "settings of roles and databases",
              "Sessions that began on the other side have others; ALTER ROLE and ALTER DATABASE "
              "set them"),
      compare("policies", old_told.policies, new_told.policies, "policies of rows",
              "Clients see or may write other rows on new"),
      compare("constraints", old_told.constraints, new_told.constraints, "constraints",
              "What old takes new may refuse, or the other way round"),
      compare("indexes", old_told.indexes, new_told.indexes, "indexes",
              "Queries may be slower on new, and duplicates may be taken"),
      check_sequences(old_told, new_told),
      check_prepared(old_told, new_told)};
}

}  // namespace crossfade
