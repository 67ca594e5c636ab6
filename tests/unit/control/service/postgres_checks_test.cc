// The test of a PostgreSQL migration: what refuses it, and what is only said.
#include "control/service/postgres_checks.h"

#include <doctest/doctest.h>

#include "../bench.h"
#include "control/service/server_pairs.h"

namespace crossfade {

namespace {

PostgresSurvey survey(const char* version = "15.8") {
  PostgresSurvey told;
  told.probe = {.entered = true, .version = version, .sight = {.run_id = version}};
  told.system_identifier = version;
  told.encoding = "UTF8";
  told.locale = "c C C";
  told.databases = {"app", "postgres"};
  told.roles = {"app"};
  told.extensions = {{"plpgsql", "1.0"}};
  told.tables = {{"public.accounts", "d1"}};
  told.functions = {{"public.total()", "s"}};
  told.settings = {{"max_connections", "100"},
                   {"superuser_reserved_connections", "3"},
                   {"wal_level", "logical"},
                   {"fsync", "on"},
                   {"TimeZone", "UTC"}};
  told.sessions = 7;
  return told;
}

// "!name" of those that refuse, in their order; with what a check says where it is asked for.
struct Findings {
  std::vector<Check> checks;
  Findings(const PostgresSurvey& old_told, const PostgresSurvey& new_told,
           const StrategySpec& strategy = BlueGreenSpec{})
      : checks(compare_surveys(old_told, new_told, strategy)) {}
  std::string refusing() const {
    std::string names;
    for (const Check& check : checks) {
      if (!check.ok) names += "!" + check.name;
    }
    return names;
  }
  std::string said(const std::string& name) const {
    for (const Check& check : checks) {
      if (check.name == name) return check.detail;
    }
    FAIL("no check " << name);
    return {};
  }
};

}  // namespace

TEST_CASE("postgres checks: equal servers, and a newer new side, have nothing against them") {
  CHECK(Findings(survey(), survey()).refusing().empty());
  CHECK(Findings(survey(), survey("18.0")).refusing().empty());
  CHECK(Findings(survey("18.0"), survey()).refusing() == "!version");
}

TEST_CASE("postgres checks: definitions that differ are named, and refuse nothing") {
  PostgresSurvey before = survey();
  before.policies = {{"own on public.accounts", "d1"}, {"public.accounts", "t f"}};
  before.indexes = {{"public.a", "d1"}, {"public.b", "d1"}};
  PostgresSurvey after = survey();
  after.indexes = {{"public.a", "d2"}, {"public.c", "d1"}};
  const Findings found(before, after);
  CHECK(found.refusing().empty());
  CHECK(found.said("defaults") == "both have the same settings of roles and databases");
  CHECK(found.said("policies")
            .starts_with("policies of rows: new lacks own on public.accounts, public.accounts. "));
  CHECK(found.said("indexes").starts_with(
      "indexes: new lacks public.b; other on new: public.a; on new only: public.c. "));
}

TEST_CASE("postgres checks: a sequence is behind by its own direction, and if it has not begun") {
  PostgresSurvey before = survey();
  before.sequences = {{"a", "1 7"}, {"b", "1 7"}, {"c", "-1 -7"},
                      {"d", "1 7"}, {"e", "1"},   {"f", "1 -"}};
  PostgresSurvey after = survey();
  after.sequences = {{"a", "1 8"}, {"b", "1 6"}, {"c", "-1 -6"},
                     {"d", "1 -"}, {"e", "1 7"}, {"f", "1 -"}};
  const Findings found(before, after);
  CHECK(found.refusing().empty());
  CHECK(found.said("sequences").find("behind on new: b, c, d. Set them") != std::string::npos);
  CHECK(found.said("sequences").ends_with("not told to the sidecar's user: e"));
  CHECK(Findings(survey(), survey()).said("sequences") ==
        "0 sequences on old, none is behind on new");
}

TEST_CASE("postgres checks: prepared transactions are named with their databases") {
  PostgresSurvey before = survey();
  before.prepared = {{"x1", "app"}};
  before.settings["max_prepared_transactions"] = "5";
  PostgresSurvey after = survey();
  after.settings["max_prepared_transactions"] = "0";
  const std::string said = Findings(before, after).said("prepared");
  CHECK(said.starts_with("old holds 'x1' in app: with its locks"));
  CHECK(said.ends_with("new has max_prepared_transactions 0: PREPARE TRANSACTION fails there"));
  CHECK(Findings(survey(), survey()).said("prepared") ==
        "no transaction is prepared on either side");
}

TEST_CASE("postgres checks: what makes statements fail on new refuses") {
  PostgresSurvey other = survey();
  other.encoding = "LATIN1";
  CHECK(Findings(survey(), other).refusing() == "!encoding");
  other = survey();
  PostgresSurvey old_told = survey();
  old_told.extensions["hstore"] = "1.8";
  CHECK(Findings(old_told, other).refusing() == "!extensions");
  CHECK(
      Findings(old_told, other).said("extensions").starts_with("new lacks the extensions hstore"));
  other.extensions["hstore"] = "1.9";
  CHECK(Findings(old_told, other).said("extensions") ==
        "new has other versions of the extensions hstore");
}

TEST_CASE("postgres checks: there is room on new for those who are on old") {
  PostgresSurvey small = survey();
  small.settings["max_connections"] = "20";  // 3 kept, 7 there
  small.sessions = 7;
  PostgresSurvey busy = survey();
  busy.sessions = 10;
  CHECK(Findings(busy, small).refusing().empty());
  CHECK(Findings(busy, small).said("connections").ends_with("would not find room there"));
  busy.sessions = 11;
  CHECK(Findings(busy, small).refusing() == "!connections");
}

TEST_CASE("postgres checks: a read by old's word that may write on new refuses") {
  PostgresSurvey other = survey();
  other.functions["public.total()"] = "v";
  CHECK(Findings(survey(), other).refusing() == "!functions");
  CHECK(Findings(other, survey()).refusing().empty());
  other.functions["public.total()"] = "i";
  CHECK(Findings(survey(), other).refusing().empty());
}

TEST_CASE("postgres checks: what only may matter is named and refuses nothing") {
  PostgresSurvey other = survey();
  other.locale = "i en-US";
  other.databases.erase("app");
  other.roles.clear();
  other.tables = {{"public.accounts", "d2"}, {"public.more", "d3"}};
  other.settings["TimeZone"] = "Europe/Paris";
  PostgresSurvey old_told = survey();
  for (int i = 0; i < 7; ++i) old_told.tables["public.t" + std::to_string(i)] = "d";
  const Findings found(old_told, other);
  CHECK(found.refusing().empty());
  CHECK(found.said("locale").find("sorted") != std::string::npos);
  CHECK(found.said("databases").starts_with("new lacks the databases app"));
  CHECK(found.said("roles").starts_with("new lacks the roles app"));
  CHECK(found.said("settings").starts_with("TimeZone is UTC on old and Europe/Paris on new"));
  CHECK(found.said("tables") ==
        "8 tables on old, 2 on new; new lacks public.t0, public.t1, public.t2, public.t3, "
        "public.t4 and 2 more; other columns on new: public.accounts; on new only: public.more. "
        "Statements that need them fail, or answer otherwise, on new");
}

TEST_CASE("postgres checks: a big_bang that asks for durability has it on new as on old") {
  PostgresSurvey lax = survey();
  lax.settings["fsync"] = "off";
  CHECK(Findings(survey(), lax, BigBangSpec{}).refusing() == "!durability");
  CHECK(Findings(survey(), lax, BigBangSpec{.durability = false}).refusing().empty());
  CHECK(Findings(survey(), lax, BlueGreenSpec{}).refusing().empty());
  CHECK(Findings(lax, lax, BigBangSpec{}).refusing() == "!durability");  // nothing is flushed there
  lax = survey();
  lax.settings["synchronous_commit"] = "off";
  CHECK(Findings(survey(), lax, BigBangSpec{}).refusing() == "!durability");
  CHECK(Findings(lax, lax, BigBangSpec{}).refusing().empty());
}

namespace {

struct PostgresPair : Bench {
  PostgresPair() {
    add_postgres("pg-old", 11);
    add_postgres("pg-new", 12);
    add_interlay("app", "pg-old", 7002);
    told.surveys[11] = survey();
    told.surveys[12] = survey("18.0");
    tell();
    add_migration("m", R"({"type":"blue_green"})");
    must(life->migrations.add_interlay("m", "app", json(R"({"endpoint":"pg-new"})"), call));
  }
  // A probe says what the survey says.
  void tell() {
    for (const auto& [port, one] : told.surveys) told.postgres[port] = one.probe;
  }
  void add_postgres(const std::string& id, int port) {
    must(life->endpoints.create(
        json(R"({"id":")" + id + R"(","kind":"postgres","config":{"host":"10.0.0.2","port":)" +
             std::to_string(port) + R"(,"database":"app","username":"app"}})"),
        call));
  }
  // The checks that failed, and what the first of them says.
  std::pair<std::string, std::string> failed() {
    tell();
    const Answer answer = life->conductor.test("m");
    std::pair<std::string, std::string> all;
    for (const Json& check : *must(answer).data.find("checks")->elements()) {
      if (*check.find("ok") == Json(true)) continue;
      if (all.first.empty()) all.second = text_of(check, "detail");
      all.first += "!" + text_of(check, "name");
    }
    return all;
  }
};

}  // namespace

TEST_CASE_FIXTURE(PostgresPair, "postgres checks: a pair of sound servers is valid") {
  CHECK(failed().first.empty());
}

TEST_CASE_FIXTURE(PostgresPair, "postgres checks: a side that cannot be reached refuses") {
  told.surveys.erase(12);
  CHECK(failed().first == "!new_reachable");
  told.refusing[11] = Error{Errc::BadConfig, "", "password authentication failed"};
  CHECK(failed().first == "!old_reachable!new_reachable");
}

TEST_CASE_FIXTURE(PostgresPair, "postgres checks: a new side that takes no writes refuses") {
  told.surveys[12].probe.recovers = true;
  CHECK(failed().first == "!new_role");
  told.surveys[12].probe.recovers = false;
  told.surveys[12].settings["default_transaction_read_only"] = "on";
  CHECK(failed().first == "!new_role");
}

TEST_CASE_FIXTURE(PostgresPair, "postgres checks: one server under two names refuses") {
  told.surveys[12].probe.sight = told.surveys[11].probe.sight;
  CHECK(failed() == std::pair<std::string, std::string>(
                        "!distinct",
                        "old and new are the same database: it began at the same "
                        "instant"));
  CHECK(said(life->conductor.migrate("m", call)).starts_with("409 Migration error"));
  Call forced = call;
  forced.force = true;
  CHECK(said(life->conductor.migrate("m", forced)) == "200");
}

TEST_CASE_FIXTURE(PostgresPair, "postgres checks: servers that let nobody in are not compared") {
  told.surveys[12] = {};
  CHECK(failed().first.empty());
  const Answer answer = life->conductor.test("m");
  CHECK(to_text(must(answer).data).find("not both servers let the sidecar in") !=
        std::string::npos);
}

}  // namespace crossfade
