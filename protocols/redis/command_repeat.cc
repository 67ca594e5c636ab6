// The commands of Redis 7.0 for which the same bytes may not do.
#include "protocols/redis/command_repeat.h"

#include <algorithm>
#include <iterator>

namespace crossfade::redis {
namespace {

struct Exception {
  std::string_view name;
  Repeat repeat;
};
constexpr Exception kExceptions[] = {
    {"copy", Repeat::Expires},
    {"eval", Repeat::Script},
    {"evalsha", Repeat::Hidden},
    {"expire", Repeat::Expires},
    {"expireat", Repeat::Expires},
    {"fcall", Repeat::Hidden},
    {"getex", Repeat::Getex},
    {"hincrbyfloat", Repeat::HashFloat},
    {"incrbyfloat", Repeat::Float},
    {"migrate", Repeat::Moves},
    {"move", Repeat::Expires},
    {"pexpire", Repeat::Expires},
    {"pexpireat", Repeat::Expires},
    {"pfdebug", Repeat::Moves},
    {"psetex", Repeat::Expires},
    {"rename", Repeat::Expires},
    {"renamenx", Repeat::Expires},
    {"restore", Repeat::Restore},
    {"restore-asking", Repeat::Moves},
    {"set", Repeat::Set},
    {"setex", Repeat::Expires},
    {"sort", Repeat::Sort},
    {"spop", Repeat::Pop},
    {"xadd", Repeat::Add},
    {"xautoclaim", Repeat::Autoclaim},
    {"xclaim", Repeat::Claim},
    {"xtrim", Repeat::Trim},
    {"zrangestore", Repeat::Lex},
    {"zremrangebylex", Repeat::Lex},
};

}  // namespace

Repeat repeat_of(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kExceptions), std::end(kExceptions),
                                         [&](const Exception& one) { return one.name == name; });
  return found != std::end(kExceptions) ? found->repeat : Repeat::Same;
}

}  // namespace crossfade::redis
