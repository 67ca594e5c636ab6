// What is different between two forms of a thing, member by member, as people read it.
#pragma once

#include <string>

#include "control/json/value.h"

namespace crossfade {

// A thing as it is, and as it may be shown: what the latter has otherwise, or not at all, is a
// secret.
struct Form {
  Json whole;
  Json shown;
};

// "config.port from 6379 to 6380, config.password changed". Empty: there is none. A value is told
// where it is short and no secret, at most kToldMax members are.
std::string difference(const Form& before, const Form& after);

inline constexpr std::size_t kToldMax = 30;
inline constexpr std::size_t kValueToldMax = 256;  // bytes of its JSON text

}  // namespace crossfade
