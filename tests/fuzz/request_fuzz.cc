// Requests: however the bytes arrive, the messages are the same; and a RequestTail that takes over
// inside a bulk ends, or breaks, where the cutter would.
#include <algorithm>
#include <optional>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/protocols/redis/bytes.h"

namespace crossfade::redis {
namespace {

using fuzz::require;

// The tail that follows what arrived of a message, as a session makes it; nullptr outside of a
// bulk.
std::optional<RequestTail> tail_of(std::string_view arrived) {
  RequestCutter cutter;
  const Cut cut = cutter.advance(arrived);
  if (!std::holds_alternative<NeedMore>(cut) || cutter.open_bulk_size() < 0) return std::nullopt;
  const auto here = static_cast<std::int64_t>(arrived.size() - cutter.open_bulk_offset());
  return RequestTail(cutter.declared_args() - static_cast<std::int64_t>(cutter.arg_count()),
                     cutter.open_bulk_size() + 2 - here);
}

void check_tail(std::string_view message_on, std::size_t head, const fuzz::Input& input) {
  if (head > message_on.size()) return;
  const Cut whole = RequestCutter().advance(message_on);
  std::optional<RequestTail> tail = tail_of(message_on.substr(0, head));
  if (!tail) return;
  std::size_t at = head;
  RequestTail::Step step{0, false, false};
  fuzz::in_pieces({input.pieces, message_on.substr(head)}, [&](std::string_view piece) {
    step = tail->advance(piece);
    require(step.consumed <= piece.size(), "a tail takes no more than it is given");
    const bool goes_on = !step.done && !step.broken;
    if (goes_on) require(step.consumed == piece.size(), "a tail that goes on takes everything");
    at += step.consumed;
    return goes_on;
  });
  const auto* const request = std::get_if<Request>(&whole);
  require(step.done == (request != nullptr), "a tail is done when the message is whole");
  if (request != nullptr) require(at == request->size, "a tail ends where the message ends");
  if (step.broken) {
    // The tail may know at the first digit too many what the cutter knows at the end of the line.
    const std::string ended = std::string(message_on) + "\r\n";
    const Cut last = RequestCutter().advance(ended);
    require(std::holds_alternative<Broken>(last), "a tail breaks only where the cutter does");
  }
  if (std::holds_alternative<Broken>(whole))
    require(step.broken, "a tail breaks where the cutter does");
}

void check(const fuzz::Input& input) {
  const Cutting whole = cut_all(input.bytes);
  require(cut_all(input.bytes, input.pieces) == whole,
          "the split point never changes the messages");
  std::size_t begin = 0;
  for (const std::size_t size : whole.sizes) {
    require(size > 0, "a message takes at least one byte");
    check_tail(input.bytes.substr(begin), input.pieces.front(), input);
    begin += size;
  }
  check_tail(input.bytes.substr(begin), input.pieces.front(), input);
}

}  // namespace
}  // namespace crossfade::redis

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crossfade::redis::check(crossfade::fuzz::read_input(data, size));
  return 0;
}
