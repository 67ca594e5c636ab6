// The map of keys, under its lock.
#include "proxy/postgres/cancel_keys.h"

#include <algorithm>

namespace crossfade::postgres {

namespace {

// The time tells the length at most, which is no secret.
bool same_secret(std::string_view one, std::string_view other) {
  if (one.size() != other.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    difference |= static_cast<unsigned char>(one[i]) ^ static_cast<unsigned char>(other[i]);
  }
  return difference == 0;
}

}  // namespace

void CancelKeys::add(const std::string& interlay, std::uint32_t pid, std::string_view secret,
                     SessionHandlePtr session) {
  const std::lock_guard held(mutex_);
  const auto [first, last] = entries_.equal_range({interlay, pid});
  const auto known = std::find_if(
      first, last, [&](const auto& one) { return same_secret(one.second.secret, secret); });
  if (known != last) {
    known->second.session = std::move(session);
  } else {
    entries_.emplace(std::pair(interlay, pid), Entry{std::string(secret), std::move(session)});
  }
}

void CancelKeys::remove(const std::string& interlay, std::uint32_t pid,
                        const SessionHandlePtr& session) {
  const std::lock_guard held(mutex_);
  const auto [first, last] = entries_.equal_range({interlay, pid});
  const auto own =
      std::find_if(first, last, [&](const auto& one) { return one.second.session == session; });
  if (own != last) entries_.erase(own);
}

SessionHandlePtr CancelKeys::find(const std::string& interlay, std::uint32_t pid,
                                  std::string_view secret) {
  const std::lock_guard held(mutex_);
  const auto [first, last] = entries_.equal_range({interlay, pid});
  const auto known = std::find_if(
      first, last, [&](const auto& one) { return same_secret(one.second.secret, secret); });
  return known == last ? nullptr : known->second.session;
}

}  // namespace crossfade::postgres
