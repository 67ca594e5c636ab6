// Two PostgreSQL servers, asked.
#include "control/service/postgres_checks.h"

#include <string>
#include <utility>

namespace crossfade {

namespace {

class PostgresChecks {
 public:
  PostgresChecks(const InterlayDefinition& interlay, const StrategySpec& strategy,
                 const Asked& asked, const Servers& servers)
      : interlay_(interlay), strategy_(strategy), asked_(asked), servers_(servers) {}

  std::vector<Check> run(const Endpoint& old_endpoint, const Endpoint& new_endpoint) {
    const PostgresSurvey* old_told = reach("old_reachable", old_endpoint);
    const PostgresSurvey* new_told = reach("new_reachable", new_endpoint);
    if (new_told != nullptr && new_told->probe.entered) check_role(*new_told);
    if (old_told != nullptr) check_catalog(old_endpoint);
    if (old_told != nullptr && new_told != nullptr) compare(*old_told, *new_told);
    return std::move(checks_);
  }

 private:
  void add(const char* name, bool ok, std::string detail) {
    checks_.push_back({name, interlay_.identity.id, ok, std::move(detail)});
  }

  // Null: it did not answer.
  const PostgresSurvey* reach(const char* name, const Endpoint& endpoint) {
    const Result<PostgresSurvey>& told = asked_.postgres(endpoint);
    if (!told) {
      add(name, false, told.error().message());
      return nullptr;
    }
    const PostgresProbe& probe = told->probe;
    const std::string who = probe.entered ? "PostgreSQL " + probe.version : "a server";
    add(name, true,
        "endpoint '" + endpoint.identity.id + "': " + who + " answered in " +
            std::to_string(probe.latency_us) + " us" +
            (probe.entered ? "" : "; without a username in its config it is asked nothing else"));
    return &told.value();
  }

  void check_role(const PostgresSurvey& told) {
    const auto found = told.settings.find("default_transaction_read_only");
    const bool read_only = found != told.settings.end() && found->second == "on";
    const bool recovers = told.probe.recovers;
    add("new_role", !recovers && !read_only,
        recovers    ? "new is a standby: it would refuse every write; promote it first"
        : read_only ? "new has default_transaction_read_only on: it would refuse every write"
                    : "new takes writes");
  }

  // Never a reason to refuse: without it reads stay on old.
  void check_catalog(const Endpoint& old_endpoint) {
    const Json shown = servers_.catalogs().shown(interlay_, old_endpoint);
    const std::string* database = shown.find("database")->string();
    const std::string* why = shown.find("why")->string();
    if (database != nullptr) {
      add("catalog", true,
          "the catalog of database '" + *database +
              "' is known; in sessions of other databases every statement with a name that is not "
              "PostgreSQL's own counts as a write");
    } else {
      add("catalog", true, "the catalog of old is not known: " + (why == nullptr ? "" : *why));
    }
  }

  void compare(const PostgresSurvey& old_told, const PostgresSurvey& new_told) {
    if (!old_told.probe.entered || !new_told.probe.entered) {
      add("comparison", true,
          "not both servers let the sidecar in, so that versions, databases, roles, extensions and "
          "tables are not compared");
      return;
    }
    for (Check& check : compare_surveys(old_told, new_told, strategy_)) {
      check.interlay = interlay_.identity.id;
      checks_.push_back(std::move(check));
    }
  }

  const InterlayDefinition& interlay_;
  const StrategySpec& strategy_;
  const Asked& asked_;
  const Servers& servers_;
  std::vector<Check> checks_;
};

}  // namespace

std::vector<Check> postgres_checks(const InterlayDefinition& interlay, const Endpoint& old_endpoint,
                                   const Endpoint& new_endpoint, const StrategySpec& strategy,
                                   const Asked& asked, const Servers& servers) {
  return PostgresChecks(interlay, strategy, asked, servers).run(old_endpoint, new_endpoint);
}

}  // namespace crossfade
