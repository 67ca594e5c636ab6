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
#include <hiredis/hiredis.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "protocols/redis/reply.h"
#include "tests/fuzz/fuzz.h"

namespace crossfade::redis {
namespace {

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

// Objects that hiredis may hold but that cost nothing, however large it believes them to be.
char g_object;
redisReplyObjectFunctions g_no_objects{
    [](const redisReadTask*, char*, std::size_t) -> void* { return &g_object; },
    [](const redisReadTask*, int) -> void* { return &g_object; },
    [](const redisReadTask*, long long) -> void* { return &g_object; },
    [](const redisReadTask*) -> void* { return &g_object; },
    [](void*) {},
};

class Judge {
 public:
  Judge() : reader_(redisReaderCreateWithFunctions(&g_no_objects)) {}

  void feed(std::string_view bytes) {
    require(redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) == REDIS_OK, "hiredis eats");
    fed_ += bytes.size();
    while (!failed_) {
      void* object = nullptr;
      failed_ = redisReaderGetReply(reader_.get(), &object) != REDIS_OK;
      if (failed_ || object == nullptr) return;
      ends_.push_back(fed_ - (reader_->len - reader_->pos));
    }
  }
  bool failed() const { return failed_; }
  const std::vector<std::size_t>& ends() const { return ends_; }
  // True when it gave up for a reason of its own, not because the bytes are no RESP2.
  bool abstains() const {
    if (!failed_) return false;
    for (const char* reason :
         {"Bad integer value", "nested multi bulk", "Multi-bulk length out of range"}) {
      if (std::strstr(reader_->errstr, reason) != nullptr) return true;
    }
    if (std::strstr(reader_->errstr, "as reply type byte") == nullptr) return false;
    const char* const type = std::strchr(reader_->errstr, '"');
    return type != nullptr && std::strchr("_#,(!=%~>|", type[1]) != nullptr;
  }

 private:
  struct Free {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
  };
  std::unique_ptr<redisReader, Free> reader_;
  std::vector<std::size_t> ends_;
  std::size_t fed_ = 0;
  bool failed_ = false;
};

bool has_long_number(std::string_view bytes) {
  std::size_t digits = 0;
  for (const char c : bytes) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits >= 18) return true;
  }
  return false;
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
