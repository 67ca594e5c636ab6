// A pattern of keys, matched as an argument of a template.
#include "protocols/redis/key_user.h"

#include <algorithm>
#include <utility>

#include "protocols/base/bucket.h"
#include "protocols/redis/argument.h"
#include "protocols/redis/facts.h"

namespace crossfade::redis {

namespace {

constexpr std::string_view kUser = "user";

}  // namespace

Result<KeyUser> KeyUser::read(std::string_view pattern) {
  auto pieces = cut_text(pattern);
  if (!pieces) return pieces.error();
  if (const Status status = check_argument(*pieces); !status) return status.error();
  const auto is_user = [](const TextPiece& piece) {
    return is_field(piece) && piece.text == kUser;
  };
  if (std::ranges::none_of(*pieces, is_user)) {
    return Error{Errc::BadInput, "", "must have the field {{user}}, as \"user:{{user}}:{{rest}}\""};
  }
  return KeyUser(std::move(*pieces));
}

std::uint32_t KeyUser::bucket(std::string_view key) const {
  std::string_view user;
  const bool fits = split(pattern_, key, [&](std::size_t piece, std::string_view value) {
    if (pattern_[piece].text == kUser) user = value;
  });
  return fits ? bucket_of(user) : key_bucket(key);
}

}  // namespace crossfade::redis
