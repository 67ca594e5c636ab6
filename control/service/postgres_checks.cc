// Two PostgreSQL servers, asked and compared.
#include "control/service/postgres_checks.h"

#include <optional>
#include <string>
#include <utility>

#include "control/service/endpoints.h"

namespace crossfade {

namespace {

class PostgresChecks {
 public:
  PostgresChecks(const InterlayDefinition& interlay, Servers& servers)
      : interlay_(interlay), servers_(servers) {}

  std::vector<Check> run(const Endpoint& old_endpoint, const Endpoint& new_endpoint) {
    (void)reach("old_reachable", old_endpoint);
    if (const auto new_told = reach("new_reachable", new_endpoint)) check_role(*new_told);
    return std::move(checks_);
  }

 private:
  void add(const char* name, bool ok, std::string detail) {
    checks_.push_back({name, interlay_.identity.id, ok, std::move(detail)});
  }

  std::optional<PostgresProbe> reach(const char* name, const Endpoint& endpoint) {
    auto told = servers_.ask_postgres(endpoint, kCheckTimeout_ms);
    if (!told) {
      add(name, false, told.error().message());
      return std::nullopt;
    }
    const std::string who = told->entered ? "PostgreSQL " + told->version : "a server";
    add(name, true,
        "endpoint '" + endpoint.identity.id + "': " + who + " answered in " +
            std::to_string(told->latency_us) + " us" +
            (told->entered ? "" : "; without a username it is not asked anything else"));
    return std::move(*told);
  }

  void check_role(const PostgresProbe& told) {
    if (!told.entered) return;
    add("new_role", !told.recovers,
        told.recovers ? "new is a standby: it would refuse every write" : "new takes writes");
  }

  const InterlayDefinition& interlay_;
  Servers& servers_;
  std::vector<Check> checks_;
};

}  // namespace

std::vector<Check> postgres_checks(const InterlayDefinition& interlay, const Endpoint& old_endpoint,
                                   const Endpoint& new_endpoint, Servers& servers) {
  return PostgresChecks(interlay, servers).run(old_endpoint, new_endpoint);
}

}  // namespace crossfade
