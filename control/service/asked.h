// What the servers of one test told: each is asked once, however many interlays are before it, and
// all at once, so that one which hangs is waited for once.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "control/definitions/migration.h"
#include "control/service/servers.h"
#include "control/state.h"

namespace crossfade {

class Asked {
 public:
  // Asks both servers of every binding; of PostgreSQL, reads old's catalog, too. Blocks for up to
  // kCheckTimeout_ms for each question to a server, of 16 servers at once.
  Asked(const State& state, const Migration& migration, Servers& servers);

  // Of an endpoint of the migration that is of this kind.
  const Result<RedisProbe>& redis(const Endpoint& endpoint) const { return *of(endpoint).redis; }
  const Result<PostgresSurvey>& postgres(const Endpoint& endpoint) const {
    return *of(endpoint).postgres;
  }
  // Of a Redis endpoint that is somebody's new side, and answered.
  const WritesTold& writes(const Endpoint& endpoint) const { return of(endpoint).writes; }

 private:
  struct Told {
    EndpointPtr endpoint;
    bool is_old = false, is_new = false;  // of some binding; it may be both
    std::optional<Result<RedisProbe>> redis = {};
    WritesTold writes = {};
    std::optional<Result<PostgresSurvey>> postgres = {};
  };
  const Told& of(const Endpoint& endpoint) const { return told_.at(endpoint.identity.uuid); }
  static void ask(Told& one, Servers& servers);

  std::map<std::string, Told> told_;  // by uuid
};

}  // namespace crossfade
