// A pattern of keys, matched as an argument of a template.
#include "protocols/redis/key_user.h"

#include <set>
#include <string>
#include <utility>

#include "protocols/base/bucket.h"
#include "protocols/redis/argument.h"
#include "protocols/redis/facts.h"

namespace crossfade::redis {

namespace {

constexpr std::string_view kUser = "user";

Error wrong(const char* why) { return Error{Errc::BadInput, "", why}; }

}  // namespace

Result<KeyUser> KeyUser::read(std::string_view pattern) {
  auto pieces = cut_text(pattern);
  if (!pieces) return pieces.error();
  std::set<std::string> fields;
  for (std::size_t i = 0; i < pieces->size(); ++i) {
    const TextPiece& piece = (*pieces)[i];
    if (!is_field(piece)) continue;
    if (i > 0 && is_field((*pieces)[i - 1])) {
      return wrong("has two fields side by side: where one ends would not be known");
    }
    if (!fields.insert(piece.text).second) return wrong("has a field twice");
  }
  if (!fields.contains(std::string(kUser))) {
    return wrong("must have the field {{user}}, as \"user:{{user}}:{{rest}}\"");
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
