// How far a migration is, as lines for a terminal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "control/json/value.h"

namespace crossfade {

// How a status that nothing moves on from by itself is to be taken.
enum class Ending : std::uint8_t { Good, Bad };
// nullopt: the migration is still under way.
std::optional<Ending> ending_of(std::string_view status);

// Rates come from two looks, so it keeps the one before.
class WatchView {
 public:
  // Lines of `GET …/status` (its data), each closed by a line feed: one of the migration, then one
  // of each interlay. `now_s` is any clock that runs evenly.
  std::string lines_of(const Json& status, double now_s);

 private:
  std::string interlay_line(const Json& interlay, double elapsed_s);

  std::optional<double> looked_s_;
  Json before_;  // data of the look before
};

}  // namespace crossfade
