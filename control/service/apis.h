// Control calls on apis.
#pragma once

#include <string>

#include "control/answer.h"
#include "control/service/call.h"
#include "control/service/keeper.h"

namespace crossfade {

class Apis {
 public:
  explicit Apis(Keeper& keeper) : keeper_(keeper) {}

  Answer list() const;
  Answer get(const std::string& reference) const;
  Answer create(const Json& body, const Call& call);
  Answer patch(const std::string& reference, const Json& body, const Call& call);
  Answer remove(const std::string& reference, const Call& call);

 private:
  Answer reply(const std::string& uuid, int status) const;

  Keeper& keeper_;
};

// An api as GET shows it; also within a migration that is shown in full.
Json shown(const State& state, const ApiDefinition& api);
// Bindings with ids in place of uuids.
Json shown_bindings(const State& state, const std::vector<TemplateBinding>& bindings);

}  // namespace crossfade
