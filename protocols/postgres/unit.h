// Cuts what a client sends into units: the pieces that a side can be chosen for as a whole.
//
// A unit is one Query, one FunctionCall, or a segment: messages of the extended protocol up to
// their Sync, all of which one implicit transaction runs. What feeds or ends a COPY belongs to
// whatever began that.
//
// Knows nothing of transactions that span units, of sides, or of what SQL says.
// Source: PostgreSQL documentation, "Message Flow", "Extended Query", "Pipelining".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "protocols/postgres/message.h"
#include "protocols/postgres/types.h"

namespace crossfade::postgres {

struct Unit {
  std::size_t size;  // bytes
  enum class What : std::uint8_t {
    Query,    // or a FunctionCall
    Segment,  // at least one message of the extended protocol, or a Sync alone
    Data,     // CopyData, CopyDone, CopyFail: perhaps a part of one
    Farewell  // Terminate
  } what;
  enum class End : std::uint8_t {
    Closed,
    // There is more of it than these bytes: the client wants answers before (Flush), or it is
    // longer than segment_max. It ends with the next Sync, Query, or FunctionCall.
    Open,
    // Likewise, but its end may be awaited, `at_least` more bytes.
    Unfinished
  } end;
  std::size_t at_least = 0;
};

inline constexpr std::string_view kSyncMessage{"S\0\0\0\4", 5};

// A unit of these bytes of which nothing more can come, and whose end is its own.
inline bool is_whole(const Unit& unit, std::string_view bytes) {
  return unit.end == Unit::End::Closed &&
         (unit.what != Unit::What::Segment || bytes.ends_with(kSyncMessage));
}

using UnitCut = std::variant<Unit, NeedMore, Broken>;

// The first unit of `bytes`, which begin between two messages.
//   NeedMore  there is no whole message, and it is not longer than segment_max bytes by now
//   Broken    as by MessageCutter; whole messages before that are an open unit first
//   cost      O(messages), no allocation
UnitCut cut_unit(std::string_view bytes, std::size_t segment_max);

// Messages that are most of what clients send.
constexpr bool is_common(char type) {
  constexpr std::uint32_t kThose = [] {
    std::uint32_t bits = 0;
    for (const char one : std::string_view("BCDEHPQS")) bits |= 1u << (one & 0x1f);
    return bits;
  }();
  return (type & 0xe0) == 0x40 && (kThose & 1u << (type & 0x1f)) != 0;
}

// Bytes of the message that `bytes`, of a client that is logged in, begin with, if it is there
// whole, is of those and is not long; else 0, and a cutter says what it is.
//   cost   O(1): less than a cutter's
inline std::size_t common_size(std::string_view bytes) {
  return !bytes.empty() && is_common(bytes[0]) ? whole_size(bytes, kClientSmallMax) : 0;
}

// Calls look(piece) for all that `cutter`, of Stream::Client, can cut of the bytes.
//   cost   O(messages), no allocation
template <class Look>
void each_piece(std::string_view bytes, MessageCutter& cutter, Look look) {
  for (std::size_t at = 0; at < bytes.size();) {
    const std::string_view rest = bytes.substr(at);
    const std::size_t common = cutter.at_boundary() ? common_size(rest) : 0;
    if (common > 0) {
      look(Piece{rest[0], common, 0, rest.substr(0, common)});
      at += common;
      continue;
    }
    const Cut cut = cutter.next(rest);
    const auto* const piece = std::get_if<Piece>(&cut);
    if (!piece) return;
    look(*piece);
    at += piece->bytes.size();
  }
}

// True for the messages that end a unit.
inline bool ends_unit(char type) {
  return type == from_client::kSync || type == from_client::kQuery ||
         type == from_client::kFunctionCall;
}

}  // namespace crossfade::postgres
