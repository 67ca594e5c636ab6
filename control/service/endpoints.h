// Control calls on endpoints.
#pragma once

#include <string>

#include "control/answer.h"
#include "control/service/call.h"
#include "control/service/keeper.h"
#include "control/service/servers.h"

namespace crossfade {

inline constexpr std::uint32_t kCheckTimeout_ms = 3'000;  // for one server to answer a check

class Endpoints {
 public:
  Endpoints(Keeper& keeper, Servers& servers) : keeper_(keeper), servers_(servers) {}

  Answer list();
  Answer get(const std::string& reference);
  Answer create(const Json& body, const Call& call);
  Answer patch(const std::string& reference, const Json& body, const Call& call);
  Answer remove(const std::string& reference, const Call& call);

 private:
  Json shown(const Endpoint& endpoint) const;

  Keeper& keeper_;
  Servers& servers_;
};

// The refusal of a change to what the configuration file declares.
Refusal declared_in_file(const char* what, const std::string& id);

}  // namespace crossfade
