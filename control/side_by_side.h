// Waiting for many at once.
#pragma once

#include <cstddef>
#include <functional>

namespace crossfade {

// Calls one(0) to one(count - 1), up to 16 at once, each in some thread; returns when all are done.
// For what mostly waits. What it throws ends the process.
void side_by_side(std::size_t count, const std::function<void(std::size_t)>& one);

}  // namespace crossfade
