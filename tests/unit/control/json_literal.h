// JSON as tests write it.
#pragma once

#include <doctest/doctest.h>

#include <string_view>

#include "control/json/parse.h"

namespace crossfade {

inline Json json(std::string_view text) {
  auto parsed = parse_json(text);
  REQUIRE_MESSAGE(parsed.ok(), text);
  return *parsed;
}

}  // namespace crossfade
