// Which part of a key says whose it is: "user:{{user}}:{{rest}}".
//
// Fields are those of templates: each stands for at least one byte, and of several each is as short
// as what follows it allows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "protocols/base/result.h"
#include "protocols/redis/template.h"

namespace crossfade::redis {

inline constexpr std::size_t kKeyPatternMax = 1024;  // bytes

class KeyUser {
 public:
  //   errors  BadInput: what is wrong with the pattern, without its text
  static Result<KeyUser> read(std::string_view pattern);

  // Where the user of that key lies: the bucket of what the field "user" stands for, or of a key
  // that does not fit as without a pattern.
  //   cost  O(len), no allocation
  std::uint32_t bucket(std::string_view key) const;

 private:
  explicit KeyUser(Template::Argument pattern) : pattern_(std::move(pattern)) {}

  Template::Argument pattern_;
};

}  // namespace crossfade::redis
