// Replies: hiredis's reader is the judge of where RESP2 replies end and of what is no reply; and
// however the bytes arrive, the replies are the same (RESP3 included).
//
// Left out of the comparison with hiredis 0.14, because it is the judge of RESP2 framing only:
//   - type bytes of RESP3, which it does not know; nesting deeper than its 7 levels; element counts
//     beyond its range: there it says so, and the comparison ends
//   - the text of an integer reply, which it reads and we pass by
//   - numbers of 18 digits and more: our lengths end at 2^60, its at 2^63
// We call a bad length broken at its first wrong byte, it does so at the end of the line: it is
// handed that line end before it is asked.
#include <algorithm>

#include "protocols/redis/reply.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/judge.h"

namespace crossfade::redis {
namespace {

using fuzz::has_long_number;
using fuzz::Judge;
using fuzz::require;
using State = ReplyScanner::State;

// Where replies end, counted from the beginning, and how it goes on from there.
struct Verdict {
  std::vector<std::size_t> ends;
  bool broken = false;
};

Verdict scan(const fuzz::Input& input) {
  Verdict verdict;
  ReplyScanner scanner;
  std::size_t at = 0;
  fuzz::in_pieces(input, [&](std::string_view piece) {
    while (!piece.empty()) {
      const ReplyScanner::Step step = scanner.advance(piece);
      require(step.consumed <= piece.size(), "a scanner takes no more than it is given");
      require(step.consumed > 0, "a scanner always moves");
      if (step.state == State::Broken) {
        verdict.broken = true;
        return false;
      }
      if (step.state == State::NeedMore) {
        require(step.consumed == piece.size(), "a scanner that needs more takes everything");
        require(!scanner.at_boundary(), "what is begun is no boundary");
      }
      at += step.consumed;
      piece.remove_prefix(step.consumed);
      if (step.state != State::Complete) continue;
      require(scanner.at_boundary(), "a whole reply ends at a boundary");
      require(scanner.type() != 0, "a whole reply has a type");
      verdict.ends.push_back(at);
    }
    return true;
  });
  return verdict;
}

void compare(std::string_view bytes, const Verdict& ours) {
  if (bytes.empty() || has_long_number(bytes)) return;
  Judge judge;
  judge.feed(bytes);
  const std::size_t common = std::min(judge.ends().size(), ours.ends.size());
  require(std::equal(ours.ends.begin(), ours.ends.begin() + static_cast<std::ptrdiff_t>(common),
                     judge.ends().begin()),
          "replies end where hiredis says");
  if (judge.abstains()) return;
  require(judge.ends().size() == ours.ends.size(), "hiredis finds as many replies");
  if (judge.failed()) require(ours.broken, "what hiredis refuses is broken");
  if (!ours.broken || judge.failed()) return;
  judge.feed("\r\n");
  require(judge.failed(), "hiredis refuses what is broken");
}

void check(const fuzz::Input& input) {
  const Verdict whole = scan({{std::max<std::size_t>(input.bytes.size(), 1)}, input.bytes});
  const Verdict split = scan(input);
  require(split.ends == whole.ends, "the split point never changes the replies");
  require(split.broken == whole.broken, "the split point never changes what is broken");
  compare(input.bytes, whole);
}

}  // namespace
}  // namespace crossfade::redis

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crossfade::redis::check(crossfade::fuzz::read_input(data, size));
  return 0;
}
