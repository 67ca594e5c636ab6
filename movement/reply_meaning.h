// Whether two replies to one command mean the same, though their bytes differ.
//
// What a command's replies may differ by is one table (reply_meaning.cc). What is not in it is
// compared exactly, but for the forms of RESP2 and RESP3, sets and maps of RESP3, which have no
// order, and the wording of errors. Pure; knows nothing of clocks, servers, or requests.
#pragma once

#include <cstdint>
#include <string_view>

namespace crossfade {

enum class Meaning : std::uint8_t {
  Same,       // the same data: another order where there is none, or another form
  Tolerable,  // what two equal servers may differ by: clocks, ids, texts of equal numbers, wording
  Different
};

// How far apart what hangs on the clock may be. The second side runs a command up to
// second_leg_timeout_ms (1 s) later than the first, and seconds are rounded.
inline constexpr std::int64_t kExpiryTolerance_ms = 2'000;
// Idle times count from when a key was last touched, which a copied key was later; the server's
// clock for them has a resolution of 1 s at best.
inline constexpr std::int64_t kIdleTolerance_s = 10;

// Judges a pair of replies.
//   command  CommandSpec::name in any case, subcommands as "object|idletime"
//   replies  whole, RESP2 or RESP3, not necessarily the same; what is no whole reply is equal only
//            to the same bytes
//   cost     O(n log n) in their sizes; about 20 bytes of memory for each byte at worst
Meaning judge(std::string_view command, std::string_view old_reply, std::string_view new_reply);

// True when replies that differ say nothing, since chance or the clock made them.
//   marked  CommandSpec::nondeterministic; counts only for commands that the table does not know
bool hangs_on_chance(std::string_view command, bool marked);

}  // namespace crossfade
