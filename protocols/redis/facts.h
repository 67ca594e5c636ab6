// Facts: what one Redis request is, computed once, from its arguments and the command table.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocols/redis/command.h"
#include "protocols/redis/request.h"

namespace crossfade::redis {

struct RequestFacts {
  const CommandSpec* spec = nullptr;  // nullptr: nobody knows this command
  Kind kind = Kind::Write;
  Effect effect = Effect::None;
  bool blocks = false;
  bool cursor = false;         // SCAN family
  bool cursor_starts = false;  // ... with cursor 0
  bool sided = false;
  bool comparable = true;   // two equal servers answer alike
  bool by_meaning = false;  // they may not (order, clock), but what they mean can be compared
  std::uint32_t key_count = 0;
  std::uint32_t bucket_low =
      0;  // over all keys; equal for one key. Hash tags "{…}" as in Redis Cluster
  std::uint32_t bucket_high = 0;
};

// Facts of a request that cutter has cut whole (or, with `whole` false, as far as it arrived: then
// nullopt unless the command and all its keys are already known, so that the rest can be streamed).
//   bytes   as last given to cutter.advance(); arg_count() > 0 required
//   cost    no allocation
std::optional<RequestFacts> facts_of(const CommandTable& commands, const RequestCutter& cutter,
                                     std::string_view bytes, bool whole);

// The part of the facts that needs only the command (and subcommand): no keys, no cursor, no BLOCK.
// For requests whose keys come too late to wait for. nullopt until the command has arrived.
std::optional<RequestFacts> command_facts_of(const CommandTable& commands,
                                             const RequestCutter& cutter, std::string_view bytes);

// Where one key specification finds its keys in a request.
struct KeyRange {
  enum class State : std::uint8_t {
    Keys,      // at first, first + step, ... up to last
    None,      // an optional part that is absent
    NeedMore,  // the arguments that tell have not arrived
    Broken     // the server would call it a syntax error
  } state;
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::int64_t step = 1;
};
KeyRange find_keys(const KeySpec& spec, const RequestCutter& cutter, std::string_view bytes);

// Calls visit(key) for every key of a whole request, in the order of the command's key
// specifications; returns false when its key positions cannot be told from its arguments (those
// that can be are visited). Duplicate keys are visited twice.
template <class Visit>
bool for_each_key(const CommandSpec& spec, const RequestCutter& cutter, std::string_view bytes,
                  Visit&& visit) {
  bool clear = true;
  for (const KeySpec& keys : spec.keys) {
    const KeyRange range = find_keys(keys, cutter, bytes);
    if (range.state == KeyRange::State::None) continue;
    if (range.state != KeyRange::State::Keys) {
      clear = false;
      continue;
    }
    for (std::int64_t i = range.first; i <= range.last; i += range.step) {
      visit(cutter.arg(static_cast<std::size_t>(i), bytes));
    }
  }
  return clear;
}

// Bucket of one key: bucket_of(the part between the first '{' and the next '}' if not empty, else
// all).
std::uint32_t key_bucket(std::string_view key);

}  // namespace crossfade::redis
