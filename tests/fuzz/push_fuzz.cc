// Pushes: what a frame is does not change while the rest of it arrives, and a whole frame is known.
#include <algorithm>

#include "protocols/redis/reply.h"
#include "tests/fuzz/fuzz.h"

namespace crossfade::redis {
namespace {

using fuzz::require;

Push classify_own(std::string_view frame) {
  const std::vector<char> own(frame.begin(), frame.end());
  return classify_push({own.data(), own.size()});
}

void check(std::string_view bytes) {
  const Push last = classify_own(bytes);
  bool known = false;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Push early = classify_own(bytes.substr(0, size));
    require(!known || early.kind != PushKind::NeedMore, "what is known stays known");
    if (early.kind == PushKind::NeedMore) continue;
    known = true;
    require(early.kind == last.kind && early.space == last.space && early.count == last.count,
            "more bytes never change what is known");
  }
  const bool answers = last.kind == PushKind::Subscribed || last.kind == PushKind::Unsubscribed;
  ReplyScanner scanner;
  const ReplyScanner::Step step = scanner.advance(bytes);
  if (step.state == ReplyScanner::State::Complete && bytes[0] != '|') {
    const Push whole = classify_own(bytes.substr(0, step.consumed));
    require(whole.kind != PushKind::NeedMore, "a whole frame is known");
    require(whole.kind == last.kind, "what follows a frame does not matter");
    require(bytes[0] != '>' || whole.kind != PushKind::NotPush, "'>' is at least a message");
  } else if (answers) {
    require(step.state == ReplyScanner::State::Complete, "answers are known only when whole");
  }
}

}  // namespace
}  // namespace crossfade::redis

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crossfade::redis::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
