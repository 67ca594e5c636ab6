// Reaching a server by TCP, and waiting for a socket: within a time, and no longer than wanted.
//
// Knows no protocol. What waits looks at its stop token every few ms, so that a thread that waits
// for a silent server can be joined soon; only the system's resolver cannot be interrupted.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>

#include "protocols/base/result.h"

namespace crossfade {

using Deadline = std::chrono::steady_clock::time_point;

// What is under way when a stop is requested may still end within this time.
inline constexpr std::chrono::milliseconds kStopGrace{300};

enum class Waited : std::uint8_t { Ready, Late, Stopped };

// Waits until the socket has one of the poll(2) events, or an error.
Waited wait_for(int socket, short events, Deadline end, const std::stop_token& stop);

// Does nothing for that time, or until a stop is requested.
void rest(std::chrono::nanoseconds time, const std::stop_token& stop);

// Returns a connected socket that never blocks; the caller closes it. Every address of the name is
// tried in turn.
//   errors  Unavailable: `reason` says why, `doing` is empty
Result<int> dial(const std::string& host, std::uint16_t port, Deadline end,
                 const std::stop_token& stop);

}  // namespace crossfade
