// Control calls on interlays.
#pragma once

#include <string>

#include "control/answer.h"
#include "control/service/call.h"
#include "control/service/keeper.h"
#include "control/service/listeners.h"
#include "control/service/new_only_writes.h"
#include "control/service/servers.h"
#include "strategies/login.h"
#include "strategies/ports.h"

namespace crossfade {

class Interlays {
 public:
  // `auth` is read at each call that needs it.
  Interlays(Keeper& keeper, Servers& servers, Listeners& listeners, NewOnlyWrites& new_only_writes,
            const AuthDoor& auth)
      : keeper_(keeper),
        servers_(servers),
        listeners_(listeners),
        new_only_writes_(new_only_writes),
        auth_(auth) {}

  Answer list() const;
  Answer get(const std::string& reference) const;
  Answer create(const Json& body, const Call& call);
  Answer patch(const std::string& reference, const Json& body, const Call& call);
  Answer remove(const std::string& reference, const Call& call);
  Answer start(const std::string& reference, const Call& call);
  Answer stop(const std::string& reference, const Call& call);

  // As GET shows it; also part of a verbose migration.
  Json shown(const State& state, const InterlayDefinition& interlay) const;

 private:
  Answer reply(const std::string& uuid, int status) const;
  Answer gone(const Identity& identity) const;  // what a deletion answers
  // Asks the endpoint's server for its commands, or its catalog, unless it has told them; a dead
  // one is asked again later.
  void learn(const Endpoint& endpoint);
  // Whether users can be looked up there as the login says, by looking up who asks.
  Status try_query(const InterlayLogin& login, const Endpoint& endpoint) const;
  Status try_patched_query(const std::string& reference, const Json& body) const;
  Answer set_running(const std::string& reference, const Call& call, const bool wanted);

  Keeper& keeper_;
  Servers& servers_;
  Listeners& listeners_;
  NewOnlyWrites& new_only_writes_;
  const AuthDoor& auth_;
};

}  // namespace crossfade
