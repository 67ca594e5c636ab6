// Making the commands that repeat a write by its effect.
#include <algorithm>
#include <vector>

#include "protocols/redis/command_bytes.h"
#include "protocols/redis/replay.h"
#include "protocols/redis/reply_view.h"
#include "protocols/redis/stream_args.h"
#include "protocols/redis/word.h"

namespace crossfade::redis {
namespace {

using Words = std::vector<std::string_view>;
using Count = std::optional<std::uint32_t>;

// What servers take unless told otherwise: a bulk (proto-max-bulk-len), and the arguments of one
// request before Redis 7.
constexpr std::size_t kPayloadMax = std::size_t{512} << 20;
constexpr std::size_t kWordsMax = 1'000'000;

// Nothing is ever idle for so long.
constexpr std::string_view kNeverIdle = "9223372036854775807";

// What PEXPIRETIME says, apart from a time.
constexpr std::int64_t kNoExpiry = -1;
constexpr std::int64_t kNoKey = -2;

// The answers to the questions, one by one.
class Answers {
 public:
  explicit Answers(std::span<const std::string_view> left) : left_(left) {}

  // The next one, empty when there is none.
  std::string_view take() {
    if (left_.empty()) return {};
    const std::string_view answer = left_.front();
    left_ = left_.subspan(1);
    return answer;
  }
  // Unix time in ms, kNoExpiry or kNoKey, however the server was asked.
  std::optional<std::int64_t> take_expiry();

 private:
  std::span<const std::string_view> left_;
};

// A number in a text, as TIME has them.
std::optional<std::int64_t> number_in(std::string_view reply) {
  constexpr std::size_t kDigitsMax = 15;  // in ms that is far away, and no product overflows
  const std::optional<std::string_view> text = text_in(reply);
  if (!text || text->empty() || text->size() > kDigitsMax) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : *text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

std::optional<std::int64_t> Answers::take_expiry() {
  const std::string_view first = take();
  Words clock;
  if (!split_elements(first, clock)) {
    const std::optional<std::int64_t> expiry = integer_in(first);
    return expiry && *expiry >= kNoKey ? expiry : std::nullopt;
  }
  if (clock.size() != 2) return std::nullopt;
  const std::optional<std::int64_t> seconds = number_in(clock[0]);
  const std::optional<std::int64_t> microseconds = number_in(clock[1]);
  const std::optional<std::int64_t> left = integer_in(take());
  if (!seconds || !microseconds || !left || *left < kNoKey) return std::nullopt;
  if (*left < 0) return left;
  const std::int64_t now_ms = *seconds * 1'000 + *microseconds / 1'000;
  if (*left > INT64_MAX - now_ms) return std::nullopt;
  return now_ms + *left;
}

Count repeat_expiry(const Done& done, std::string& out) {
  if (done.keys.empty()) return std::nullopt;
  Answers answers(done.answers);
  for (const std::string_view key : done.keys) {
    const std::optional<std::int64_t> expiry = answers.take_expiry();
    if (!expiry) return std::nullopt;
    if (*expiry == kNoKey) {
      append_command(out, {"DEL", key});
    } else if (*expiry == kNoExpiry) {
      append_command(out, {"PERSIST", key});
    } else {
      append_command(out, {"PEXPIREAT", key, std::to_string(*expiry)});
    }
  }
  return static_cast<std::uint32_t>(done.keys.size());
}

Count repeat_copy(const Done& done, std::string& out) {
  if (done.keys.empty()) return std::nullopt;
  Answers answers(done.answers);
  for (const std::string_view key : done.keys) {
    const std::string_view dump = answers.take();
    const std::optional<std::string_view> payload = text_in(dump);
    const std::optional<std::int64_t> expiry = answers.take_expiry();
    if (!expiry || (!payload && !is_null(dump))) return std::nullopt;
    if (!payload || *expiry == kNoKey) {  // it may have expired between the two
      append_command(out, {"DEL", key});
      continue;
    }
    if (payload->size() > kPayloadMax) return std::nullopt;
    const std::string at = std::to_string(std::max<std::int64_t>(*expiry, 0));
    append_command(out, {"RESTORE", key, at, *payload, "REPLACE", "ABSTTL"});
  }
  return static_cast<std::uint32_t>(done.keys.size());
}

// SPOP key [count]: one member, or a list of them.
Count repeat_pop(const Done& done, std::string& out) {
  if (done.args.size() < 2) return std::nullopt;
  if (is_null(done.reply)) return 0;
  Words members;
  if (const std::optional<std::string_view> member = text_in(done.reply)) {
    members.push_back(*member);
  } else {
    if (!split_elements(done.reply, members)) return std::nullopt;
    for (std::string_view& element : members) {
      const std::optional<std::string_view> text = text_in(element);
      if (!text) return std::nullopt;
      element = *text;
    }
  }
  std::uint32_t count = 0;
  constexpr std::size_t kMembersMax = kWordsMax - 2;
  Words words;
  for (std::size_t at = 0; at < members.size(); at += kMembersMax, ++count) {
    const auto part = std::span(members).subspan(at);
    words = {"SREM", done.args[1]};
    words.insert(words.end(), part.begin(),
                 part.begin() + static_cast<std::ptrdiff_t>(std::min(kMembersMax, part.size())));
    append_command(out, words);
  }
  return count;
}

// INCRBYFLOAT key increment, HINCRBYFLOAT key field increment: what came out is set.
Count repeat_float(const Done& done, std::string& out) {
  const bool field = done.spec->repeat == Repeat::HashFloat;
  const std::optional<std::string_view> value = text_in(done.reply);
  if (!value || done.args.size() != (field ? 4 : 3)) return std::nullopt;
  if (field) {
    append_command(out, {"HSET", done.args[1], done.args[2], *value});
  } else {
    append_command(out, {"SET", done.args[1], *value, "KEEPTTL"});
  }
  return 1;
}

// How long the stream has been left, by the only answer; empty when it does not say.
std::string length_of(const Done& done) {
  const std::optional<std::int64_t> length = integer_in(Answers(done.answers).take());
  return length && *length >= 0 ? std::to_string(*length) : std::string();
}

Count repeat_add(const Done& done, std::string& out) {
  const StreamArgs stream = stream_args(done.args);
  if (stream.id == 0) return std::nullopt;
  if (is_null(done.reply)) return 0;  // NOMKSTREAM
  const std::optional<std::string_view> id = text_in(done.reply);
  if (!id || !is_full_id(*id)) return std::nullopt;
  Words words{done.args[0], done.args[1]};
  const std::string length = stream.approximate ? length_of(done) : std::string();
  if (stream.approximate) {
    if (length.empty()) return std::nullopt;
    words.insert(words.end(), {"MAXLEN", "=", length});
  } else if (stream.trim != 0) {
    for (std::size_t i = stream.trim; i <= stream.threshold; ++i) words.push_back(done.args[i]);
  }
  words.push_back(*id);
  const auto fields = done.args.subspan(stream.id + 1);
  words.insert(words.end(), fields.begin(), fields.end());
  append_command(out, words);
  return 1;
}

Count repeat_trim(const Done& done, std::string& out) {
  const std::optional<std::int64_t> trimmed = integer_in(done.reply);
  const std::string length = length_of(done);
  if (!trimmed || length.empty() || done.args.size() < 2) return std::nullopt;
  if (*trimmed == 0) return 0;
  append_command(out, {done.args[0], done.args[1], "MAXLEN", "=", length});
  return 1;
}

// The ids of entries that were claimed: JUSTID's, or the first of id and fields.
std::optional<Words> ids_in(std::string_view reply) {
  Words ids;
  if (!split_elements(reply, ids)) return std::nullopt;
  Words entry;
  for (std::string_view& element : ids) {
    entry.clear();
    const bool has_fields = split_elements(element, entry);
    if (has_fields && entry.size() != 2) return std::nullopt;
    // Before Redis 7 a claimed entry that is no more was null.
    const std::optional<std::string_view> id = text_in(has_fields ? entry[0] : element);
    if (!id || !is_full_id(*id)) return std::nullopt;
    element = *id;
  }
  return ids;
}

// XCLAIM and XAUTOCLAIM key group consumer min-idle … begin alike.
constexpr std::size_t kMinIdle = 4;
constexpr std::size_t kClaimed = 5;

// The same request, by which no entry is claimed any more: those that are deleted are dropped from
// the group all the same.
void append_idle_never(const Done& done, std::string& out) {
  Words words(done.args.begin(), done.args.end());
  words[kMinIdle] = kNeverIdle;
  append_command(out, words);
}

void append_claim(const Done& done, const Words& ids, std::span<const std::string_view> options,
                  std::string& out) {
  Words words{"XCLAIM", done.args[1], done.args[2], done.args[3], "0"};
  words.insert(words.end(), ids.begin(), ids.end());
  words.insert(words.end(), options.begin(), options.end());
  words.push_back("FORCE");
  append_command(out, words);
}

// XCLAIM key group consumer min-idle id … [IDLE ms] [TIME t] [RETRYCOUNT n] [FORCE] [JUSTID] …
Count repeat_claim(const Done& done, std::string& out) {
  const std::optional<Words> claimed = ids_in(done.reply);
  if (!claimed || done.args.size() <= kClaimed) return std::nullopt;
  // An id never begins with a letter, and an option always does.
  const auto asked = done.args.subspan(kClaimed);
  const auto options = std::find_if(asked.begin(), asked.end(), [](std::string_view word) {
    return !word.empty() &&
           ((word[0] >= 'a' && word[0] <= 'z') || (word[0] >= 'A' && word[0] <= 'Z'));
  });
  const auto asked_count = static_cast<std::size_t>(options - asked.begin());
  std::uint32_t count = 0;
  if (!claimed->empty()) {
    append_claim(done, *claimed, asked.subspan(asked_count), out);
    ++count;
  }
  if (claimed->size() < asked_count) {
    append_idle_never(done, out);
    ++count;
  }
  return count;
}

// XAUTOCLAIM key group consumer min-idle start [COUNT n] [JUSTID] -> cursor, claimed, deleted
Count repeat_autoclaim(const Done& done, std::string& out) {
  Words parts;
  if (done.args.size() <= kClaimed || !split_elements(done.reply, parts) || parts.size() != 3) {
    return std::nullopt;
  }
  const std::optional<Words> claimed = ids_in(parts[1]);
  const std::optional<Words> deleted = ids_in(parts[2]);
  if (!claimed || !deleted) return std::nullopt;
  // Nothing was claimed: the same walk claims nothing there either, and drops what is deleted.
  if (claimed->empty()) {
    append_idle_never(done, out);
    return 1;
  }
  const auto options = done.args.subspan(kClaimed + 1);
  const bool just_id = std::any_of(options.begin(), options.end(),
                                   [](std::string_view word) { return is_word(word, "JUSTID"); });
  constexpr std::string_view kJustId[] = {"JUSTID"};
  append_claim(done, *claimed, std::span(kJustId).first(just_id ? 1 : 0), out);
  if (deleted->empty()) return 1;
  Words words{"XACK", done.args[1], done.args[2]};
  words.insert(words.end(), deleted->begin(), deleted->end());
  append_command(out, words);
  return 2;
}

Count repeat_made(const Done& done, std::string& out) {
  if (done.spec == nullptr) return std::nullopt;
  switch (done.spec->repeat) {
    case Repeat::Pop:
      return repeat_pop(done, out);
    case Repeat::Float:
    case Repeat::HashFloat:
      return repeat_float(done, out);
    case Repeat::Add:
      return repeat_add(done, out);
    case Repeat::Trim:
      return repeat_trim(done, out);
    case Repeat::Claim:
      return repeat_claim(done, out);
    case Repeat::Autoclaim:
      return repeat_autoclaim(done, out);
    case Repeat::Unknown:
    case Repeat::Same:
    case Repeat::Expires:
    case Repeat::Set:
    case Repeat::Getex:
    case Repeat::Restore:
    case Repeat::Sort:
    case Repeat::Lex:
    case Repeat::Moves:
    case Repeat::Script:
    case Repeat::Hidden:
      break;
  }
  return std::nullopt;
}

Count repeat(Replay replay, const Done& done, std::string& out) {
  switch (replay) {
    case Replay::Same:
    case Replay::Suspect:
      return 0;
    case Replay::Expiry:
      return repeat_expiry(done, out);
    case Replay::Copy:
      return repeat_copy(done, out);
    case Replay::Made:
      return repeat_made(done, out);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> append_repeat(Replay replay, const Done& done, std::string& out) {
  const std::size_t before = out.size();
  const Count count = repeat(replay, done, out);
  if (!count) out.resize(before);
  return count;
}

}  // namespace crossfade::redis
