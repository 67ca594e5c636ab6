// Requests: however the bytes arrive, the messages are the same; and a RequestTail that takes over
// inside a bulk ends, or breaks, where the cutter would. Requests that are not inline are RESP2
// arrays of bulks: hiredis's reader is the judge of where those end.
#include <algorithm>
#include <optional>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/judge.h"
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

// The end of the first message, if hiredis finds that it is an array of bulks; else 0.
std::size_t judged_end(std::string_view bytes) {
  // Our lengths end where a server's do, its own at 2^63.
  if (!bytes.starts_with('*') || fuzz::has_long_number(bytes)) return 0;
  fuzz::Judge judge;
  judge.feed(bytes, 1);
  return judge.ends().empty() || judge.mixed() ? 0 : judge.ends().front();
}

void check_end(std::string_view bytes) {
  const std::size_t judged = judged_end(bytes);
  if (judged == 0) return;
  const Cut cut = RequestCutter().advance(bytes);
  const auto* const request = std::get_if<Request>(&cut);
  require(request != nullptr, "what hiredis finds whole is a request");
  require(request->size == judged, "a request ends where hiredis says");
}

void check(const fuzz::Input& input) {
  const Cutting whole = cut_all(input.bytes);
  require(cut_all(input.bytes, input.pieces) == whole,
          "the split point never changes the messages");
  std::size_t begin = 0;
  for (const std::size_t size : whole.sizes) {
    require(size > 0, "a message takes at least one byte");
    check_tail(input.bytes.substr(begin), input.pieces.front(), input);
    check_end(input.bytes.substr(begin));
    begin += size;
  }
  check_end(input.bytes.substr(begin));
  check_tail(input.bytes.substr(begin), input.pieces.front(), input);
}

}  // namespace
}  // namespace crossfade::redis

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crossfade::redis::check(crossfade::fuzz::read_input(data, size));
  return 0;
}
