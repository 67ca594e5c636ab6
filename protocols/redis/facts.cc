// Facts of one request, and where its keys are.
//
// Key positions follow getKeysUsingKeySpecs() of Redis 7.0, for requests that are whole and for
// those of which only the beginning has arrived.
#include "protocols/redis/facts.h"

#include <algorithm>
#include <cassert>
#include <charconv>

#include "protocols/base/bucket.h"
#include "protocols/redis/word.h"

namespace crossfade::redis {
namespace {

// An argument that is a count and nothing else, read as strictly as the server reads it.
std::optional<std::int64_t> count_in(std::string_view text) {
  std::int64_t count = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool all = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
  const bool padded = text.size() > 1 && text[0] == '0';
  if (!all || padded || count < 0) return std::nullopt;
  return count;
}

// A request's arguments, as far as they have arrived.
struct Args {
  const RequestCutter& cutter;
  std::string_view bytes;
  std::int64_t total;  // how many there will be
  std::int64_t here;   // how many are complete

  std::string_view operator[](std::int64_t index) const {
    return cutter.arg(static_cast<std::size_t>(index), bytes);
  }
};

Args args_of(const RequestCutter& cutter, std::string_view bytes) {
  return {cutter, bytes, cutter.declared_args(), static_cast<std::int64_t>(cutter.arg_count())};
}

// Where a specification's search begins.
struct Begin {
  KeyRange::State state;
  std::int64_t at = 0;
};

Begin begin_of(const KeySpec& spec, const Args& args) {
  if (spec.begin == KeySpec::Begin::Index) return {KeyRange::State::Keys, spec.index};
  // Forwards from a position, or backwards from one counted from the end.
  const bool forwards = spec.index > 0;
  const std::int64_t from = forwards ? spec.index : args.total + spec.index;
  // The last argument cannot be the keyword: nothing would follow it.
  const std::int64_t to = forwards ? args.total - 1 : 1;
  for (std::int64_t i = from; forwards ? i < to : i > to; forwards ? ++i : --i) {
    if (i >= args.here) return {KeyRange::State::NeedMore};
    if (is_word(args[i], spec.keyword)) return {KeyRange::State::Keys, i + 1};
  }
  return {KeyRange::State::None};
}

KeyRange range_of(const KeySpec& spec, std::int64_t first, const Args& args) {
  const std::int64_t step = std::max(spec.step, 1);
  std::int64_t last = first + spec.last;
  if (spec.last < 0) {
    const std::int64_t rest = args.total - first;
    last = spec.limit > 1 ? first + rest / spec.limit + spec.last : args.total + spec.last;
    if (rest <= 0) return {KeyRange::State::None};  // an open end may be empty: PFMERGE destination
  }
  if (first < 1 || last < first || last >= args.total) return {KeyRange::State::Broken};
  return {KeyRange::State::Keys, first, last - (last - first) % step, step};
}

KeyRange counted_range(const KeySpec& spec, std::int64_t begin, const Args& args) {
  const std::int64_t count_at = begin + spec.keynum_index;
  if (count_at < 1 || count_at >= args.total) return {KeyRange::State::Broken};
  if (count_at >= args.here) return {KeyRange::State::NeedMore};
  const std::optional<std::int64_t> count = count_in(args[count_at]);
  if (!count || *count > args.total) return {KeyRange::State::Broken};
  if (*count == 0) return {KeyRange::State::None};
  const std::int64_t step = std::max(spec.step, 1);
  const std::int64_t first = begin + spec.first_key;
  const std::int64_t last = first + (*count - 1) * step;
  if (first < 1 || last >= args.total) return {KeyRange::State::Broken};
  return {KeyRange::State::Keys, first, last, step};
}

// SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [STORE destination]: the last STORE
// counts.
KeyRange sort_store(const Args& args) {
  constexpr std::int64_t kOptions = 2;
  KeyRange found{KeyRange::State::None};
  for (std::int64_t i = kOptions; i < args.total; ++i) {
    if (i >= args.here) return {KeyRange::State::NeedMore};
    const std::string_view word = args[i];
    if (is_word(word, "LIMIT")) {
      i += 2;
    } else if (is_word(word, "BY") || is_word(word, "GET")) {
      i += 1;
    } else if (is_word(word, "STORE") && i + 1 < args.total) {
      found = {KeyRange::State::Keys, i + 1, i + 1, 1};
    }
  }
  return found;
}

// MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH p] [AUTH2 u p] [KEYS key ...]: the
// key, or those behind KEYS when it is empty.
KeyRange migrate_keys(const Args& args) {
  constexpr std::int64_t kKey = 3, kOptions = 6;
  if (kKey >= args.total) return {KeyRange::State::Broken};
  if (kKey >= args.here) return {KeyRange::State::NeedMore};
  const KeyRange single{KeyRange::State::Keys, kKey, kKey, 1};
  if (!args[kKey].empty()) return single;
  for (std::int64_t i = kOptions; i < args.total; ++i) {
    if (i >= args.here) return {KeyRange::State::NeedMore};
    const std::string_view word = args[i];
    if (is_word(word, "AUTH")) {
      i += 1;
    } else if (is_word(word, "AUTH2")) {
      i += 2;
    } else if (is_word(word, "KEYS") && i + 1 < args.total) {
      return {KeyRange::State::Keys, i + 1, args.total - 1, 1};
    }
  }
  return single;
}

KeyRange find_keys(const KeySpec& spec, const Args& args) {
  switch (spec.find) {
    case KeySpec::Find::SortStore:
      return sort_store(args);
    case KeySpec::Find::Migrate:
      return migrate_keys(args);
    case KeySpec::Find::Range:
    case KeySpec::Find::KeyNum:
      break;
  }
  const Begin begin = begin_of(spec, args);
  if (begin.state != KeyRange::State::Keys) return {begin.state};
  return spec.find == KeySpec::Find::Range ? range_of(spec, begin.at, args)
                                           : counted_range(spec, begin.at, args);
}

void add_key(std::string_view key, RequestFacts& facts) {
  const std::uint32_t bucket = key_bucket(key);
  if (facts.key_count == 0) {
    facts.bucket_low = facts.bucket_high = bucket;
  } else {
    facts.bucket_low = std::min(facts.bucket_low, bucket);
    facts.bucket_high = std::max(facts.bucket_high, bucket);
  }
  ++facts.key_count;
}

// Adds all keys to `facts`; false when some of them have not arrived.
bool add_keys(const CommandSpec& spec, const Args& args, RequestFacts& facts) {
  // Most commands have one key at one place.
  if (spec.keys.size() == 1 && spec.keys.front().begin == KeySpec::Begin::Index &&
      spec.keys.front().find == KeySpec::Find::Range && spec.keys.front().last == 0) {
    const int at = spec.keys.front().index;
    if (at >= args.here) return at >= args.total;
    add_key(args[at], facts);
    return true;
  }
  for (const KeySpec& keys : spec.keys) {
    const KeyRange range = find_keys(keys, args);
    if (range.state == KeyRange::State::NeedMore) return false;
    if (range.state != KeyRange::State::Keys) continue;
    if (range.last >= args.here) return false;
    for (std::int64_t i = range.first; i <= range.last; i += range.step) add_key(args[i], facts);
  }
  return true;
}

// XREAD and XREADGROUP block only when asked to, before the word STREAMS.
bool asks_to_block(const Args& args) {
  for (std::int64_t i = 1; i < args.here; ++i) {
    const std::string_view word = args[i];
    if (is_word(word, "STREAMS")) return false;
    if (is_word(word, "BLOCK")) return i + 1 < args.total;  // without a time it is an error
    if (is_word(word, "COUNT")) {
      i += 1;
    } else if (is_word(word, "GROUP")) {
      i += 2;
    }
  }
  return false;
}

bool blocks(const CommandSpec& spec, const Args& args) {
  if (!spec.blocks) return false;
  return spec.name.starts_with("xread") ? asks_to_block(args) : true;
}

}  // namespace

KeyRange find_keys(const KeySpec& spec, const RequestCutter& cutter, std::string_view bytes) {
  return find_keys(spec, args_of(cutter, bytes));
}

std::optional<RequestFacts> command_facts_of(const CommandTable& commands,
                                             const RequestCutter& cutter, std::string_view bytes) {
  const Args args = args_of(cutter, bytes);
  if (args.here == 0) return std::nullopt;
  RequestFacts facts;
  const CommandSpec* spec = commands.find(args[0]);
  if (spec == nullptr) return facts;
  if (spec->has_subcommands && args.total > 1) {
    if (args.here == 1) return std::nullopt;
    const CommandSpec* const subcommand = commands.find(args[0], args[1]);
    if (subcommand != nullptr) spec = subcommand;
  }
  facts.spec = spec;
  facts.kind = spec->kind;
  facts.effect = spec->effect;
  facts.sided = spec->sided;
  facts.comparable = !spec->nondeterministic;
  facts.by_meaning = spec->by_meaning;
  return facts;
}

std::optional<RequestFacts> facts_of(const CommandTable& commands, const RequestCutter& cutter,
                                     std::string_view bytes, bool whole) {
  const Args args = args_of(cutter, bytes);
  assert(!whole || args.here == args.total);
  std::optional<RequestFacts> facts = command_facts_of(commands, cutter, bytes);
  if (!facts || facts->spec == nullptr) return facts;
  const CommandSpec& spec = *facts->spec;
  if (!add_keys(spec, args, *facts)) return std::nullopt;
  facts->blocks = blocks(spec, args);
  if (spec.cursor) {
    const std::int64_t at = spec.keys.empty() ? 1 : 2;  // SCAN cursor, HSCAN key cursor
    if (!whole && at < args.total && at >= args.here) return std::nullopt;
    facts->cursor = true;
    facts->cursor_starts = at < args.here && args[at].find_first_not_of('0') == args[at].npos;
  }
  return facts;
}

std::uint32_t key_bucket(std::string_view key) {
  const std::size_t open = key.find('{');
  if (open != key.npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != key.npos && close > open + 1)
      return bucket_of(key.substr(open + 1, close - open - 1));
  }
  return bucket_of(key);
}

}  // namespace crossfade::redis
