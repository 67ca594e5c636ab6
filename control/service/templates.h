// Control calls on templates.
#pragma once

#include <string>

#include "control/answer.h"
#include "control/service/call.h"
#include "control/service/keeper.h"

namespace crossfade {

class Templates {
 public:
  explicit Templates(Keeper& keeper) : keeper_(keeper) {}

  Answer list() const;
  Answer get(const std::string& reference) const;
  Answer create(const Json& body, const Call& call);
  // Refused where an api that names it would not fit any more.
  Answer patch(const std::string& reference, const Json& body, const Call& call);
  Answer remove(const std::string& reference, const Call& call);

 private:
  Answer reply(const std::string& uuid, int status) const;

  Keeper& keeper_;
};

}  // namespace crossfade
