// A map by hashes.
#include "proxy/postgres/known_keys.h"

#include <string>

namespace crossfade::postgres {

namespace {

// Names have no NUL in them.
ScramKey place_of(std::string_view endpoint, std::string_view user, std::string_view password) {
  std::string text(endpoint);
  text.append(1, '\0').append(user).append(1, '\0').append(password);
  return sha256(text);
}

}  // namespace

std::optional<ScramKeys> KnownKeys::find(std::string_view endpoint, std::string_view user,
                                         std::string_view password) const {
  const auto known = keys_.find(place_of(endpoint, user, password));
  if (known == keys_.end()) return std::nullopt;
  return known->second;
}

void KnownKeys::remember(std::string_view endpoint, std::string_view user,
                         std::string_view password, const ScramKeys& keys) {
  if (keys_.size() >= kKnownKeysMax) keys_.clear();
  keys_.insert_or_assign(place_of(endpoint, user, password), keys);
}

}  // namespace crossfade::postgres
