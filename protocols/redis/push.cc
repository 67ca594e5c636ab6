// Recognises the frames of pub/sub by their first element.
//
// In RESP2 they are ordinary arrays, so the words and the number of elements have to fit; in RESP3
// the type byte says it, and the words only tell what kind it is.
#include <algorithm>
#include <array>

#include "protocols/redis/number.h"
#include "protocols/redis/reply.h"

namespace crossfade::redis {
namespace {

struct Word {
  std::string_view text;
  std::int64_t elements;
  PushKind kind;
  PushSpace space;
};

constexpr std::array<Word, 9> kWords{{
    {"message", 3, PushKind::Message, PushSpace::Channels},
    {"pmessage", 4, PushKind::Message, PushSpace::Patterns},
    {"smessage", 3, PushKind::Message, PushSpace::Shards},
    {"subscribe", 3, PushKind::Subscribed, PushSpace::Channels},
    {"psubscribe", 3, PushKind::Subscribed, PushSpace::Patterns},
    {"ssubscribe", 3, PushKind::Subscribed, PushSpace::Shards},
    {"unsubscribe", 3, PushKind::Unsubscribed, PushSpace::Channels},
    {"punsubscribe", 3, PushKind::Unsubscribed, PushSpace::Patterns},
    {"sunsubscribe", 3, PushKind::Unsubscribed, PushSpace::Shards},
}};
constexpr std::size_t kWordMax = 12;

enum class Read : std::uint8_t { Whole, NeedMore, Other };

// Reads "<type><number>\r\n" and moves `at` behind it.
Read read_head(const char*& at, const char* end, char type, std::int64_t& value) {
  if (at == end) return Read::NeedMore;
  if (*at != type) return Read::Other;
  const Number number = read_number(at + 1, end);
  if (number.state == NumberState::Broken) return Read::Other;
  if (number.state == NumberState::NeedMore) return Read::NeedMore;
  if (static_cast<std::size_t>(end - at) < number.size + 3) return Read::NeedMore;
  if (at[number.size + 2] != '\n') return Read::Other;
  value = number.value;
  at += number.size + 3;
  return Read::Whole;
}

// Reads the word that begins the frame; nullptr in `word` when it is none of ours.
Read read_word(const char*& at, const char* end, std::int64_t elements, const Word*& word) {
  std::int64_t size = 0;
  const Read head = read_head(at, end, '$', size);
  if (head != Read::Whole) return head;
  if (size < 0 || static_cast<std::size_t>(size) > kWordMax) return Read::Other;
  const auto length = static_cast<std::size_t>(size);
  const auto here = static_cast<std::size_t>(end - at);
  const std::string_view text(at, std::min(length, here));
  bool possible = false;
  for (const Word& candidate : kWords) {
    if (candidate.text.size() != length || candidate.elements != elements) continue;
    if (candidate.text.substr(0, text.size()) != text) continue;
    possible = true;
    word = &candidate;
  }
  if (!possible) return Read::Other;
  if (here < length + 2) return Read::NeedMore;
  at += length + 2;
  return Read::Whole;
}

// Skips the channel, which is null when there was nothing to unsubscribe from, and reads the count.
Read read_count(const char*& at, const char* end, std::int64_t& count) {
  if (at == end) return Read::NeedMore;
  if (*at == '_') {
    if (end - at < 3) return Read::NeedMore;
    if (at[1] != '\r' || at[2] != '\n') return Read::Other;
    at += 3;
  } else {
    std::int64_t size = 0;
    const Read head = read_head(at, end, '$', size);
    if (head != Read::Whole) return head;
    if (size < -1) return Read::Other;
    if (size >= 0) {
      if (end - at < 2 || size > end - at - 2) return Read::NeedMore;
      at += size + 2;
    }
  }
  return read_head(at, end, ':', count);
}

}  // namespace

Push classify_push(std::string_view frame) {
  if (frame.empty()) return {PushKind::NeedMore};
  if (frame[0] != '*' && frame[0] != '>') return {PushKind::NotPush};
  const PushKind otherwise = frame[0] == '>' ? PushKind::Message : PushKind::NotPush;
  const auto verdict = [&](Read read) {
    return Push{read == Read::NeedMore ? PushKind::NeedMore : otherwise};
  };
  const char* at = frame.data();
  const char* const end = at + frame.size();
  std::int64_t elements = 0;
  if (const Read read = read_head(at, end, frame[0], elements); read != Read::Whole) {
    return verdict(read);
  }
  if (elements != 3 && elements != 4) return {otherwise};
  const Word* word = nullptr;
  if (const Read read = read_word(at, end, elements, word); read != Read::Whole) {
    return verdict(read);
  }
  Push push{word->kind, word->space};
  if (word->kind == PushKind::Message) return push;
  if (const Read read = read_count(at, end, push.count); read != Read::Whole) return verdict(read);
  return push;
}

}  // namespace crossfade::redis
