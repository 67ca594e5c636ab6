// What reading a definition comes to, for tests.
#pragma once

#include <string>

#include "../json_literal.h"
#include "protocols/base/result.h"

namespace crossfade {

// Why it was refused.
template <class T>
std::string refusal(const Result<T>& result) {
  return result.ok() ? "accepted" : result.error().reason;
}

}  // namespace crossfade
