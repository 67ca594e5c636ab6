// Which writes are repeated how, and what must be asked behind them.
#include "protocols/redis/replay.h"

#include <algorithm>

#include "protocols/redis/command_bytes.h"
#include "protocols/redis/script_words.h"
#include "protocols/redis/stream_args.h"
#include "protocols/redis/word.h"

namespace crossfade::redis {
namespace {

using Args = std::span<const std::string_view>;

// An expiry among the options, which begin at `from`. One that is a point in time would be the same
// on both sides, but it must be known when it comes: a write that meets it is repeated in another
// way.
bool sets_expiry(Args args, std::size_t from) {
  for (std::size_t i = from; i < args.size(); ++i) {
    for (const char* word : {"EX", "PX", "EXAT", "PXAT"}) {
      if (is_word(args[i], word)) return true;
    }
  }
  return false;
}

Replay replay_of_options(Args args, std::size_t from, bool whole) {
  return !whole || sets_expiry(args, from) ? Replay::Expiry : Replay::Same;
}

// RESTORE key ttl payload [REPLACE] [ABSTTL] …: 0 is no expiry.
Replay replay_of_restore(Args args) {
  constexpr std::size_t kTtl = 2;
  return args.size() > kTtl && args[kTtl] == "0" ? Replay::Same : Replay::Expiry;
}

Replay replay_of_add(Args args) {
  const StreamArgs stream = stream_args(args);
  if (stream.approximate || stream.id == 0) return Replay::Made;
  return is_full_id(args[stream.id]) ? Replay::Same : Replay::Made;
}

Replay replay_of_trim(Args args, bool whole) {
  return !whole || stream_args(args).approximate ? Replay::Made : Replay::Same;
}

// XCLAIM key group consumer min-idle …: from 0 on everything is idle enough.
Replay replay_of_claim(Args args) {
  constexpr std::size_t kMinIdle = 4;
  if (args.size() <= kMinIdle) return Replay::Made;
  return args[kMinIdle] == "0" ? Replay::Same : Replay::Made;
}

// Where scores are not all equal, which members are between two others hangs on the encoding (a
// listpack is given up when its last member is below the range), and that on the set's history:
// one that was copied has another than one that has shrunk. ZRANGESTORE … [BYSCORE | BYLEX] …
Replay replay_of_lex(Args args, bool whole) {
  const bool by_lex = is_word(args[0], "ZREMRANGEBYLEX") ||
                      std::any_of(args.begin(), args.end(),
                                  [](std::string_view arg) { return is_word(arg, "BYLEX"); });
  return !whole || by_lex ? Replay::Copy : Replay::Same;
}

// What it reads elsewhere, and the order of equal weights, are not in its keys: stored, it is
// copied. SORT key [BY pattern] [LIMIT offset count] [GET pattern …] … [STORE destination]
Replay replay_of_sort(Args args, bool whole) {
  bool stores = false;
  for (std::size_t i = 2; i < args.size(); ++i) {
    if (is_word(args[i], "BY") || is_word(args[i], "GET")) {
      ++i;
    } else if (is_word(args[i], "LIMIT")) {
      i += 2;
    } else if (is_word(args[i], "STORE")) {
      stores = true;
      ++i;
    }
  }
  return !whole || stores ? Replay::Copy : Replay::Same;
}

// EVAL script numkeys key … arg …: arguments may be commands and options that the script hands on.
Replay replay_of_script(Args args, bool whole) {
  constexpr std::size_t kScript = 1, kKeys = 3;
  if (!whole) return Replay::Suspect;
  if (args.size() <= kScript) return Replay::Same;
  if (hangs_on_chance(args[kScript])) return Replay::Suspect;
  const Args handed = args.subspan(std::min(kKeys, args.size()));
  return std::any_of(handed.begin(), handed.end(), is_word_of_chance) ? Replay::Suspect
                                                                      : Replay::Same;
}

std::uint32_t ask_expiry(std::string_view key, const CommandTable& commands, std::string& out) {
  if (commands.find("pexpiretime") != nullptr) {
    append_command(out, {"PEXPIRETIME", key});
    return 1;
  }
  // Its own clock, and not ours: the difference of the two would become one of the keys.
  append_command(out, {"TIME"});
  append_command(out, {"PTTL", key});
  return 2;
}

}  // namespace

Replay replay_of(const CommandSpec* spec, Args args, bool whole) {
  if (spec == nullptr) return Replay::Suspect;
  if (spec->kind != Kind::Write) return Replay::Same;
  constexpr std::size_t kSetOptions = 3, kGetexOptions = 2;
  switch (spec->repeat) {
    case Repeat::Same:
      return Replay::Same;
    case Repeat::Set:
      return replay_of_options(args, kSetOptions, whole);
    case Repeat::Getex:
      return replay_of_options(args, kGetexOptions, whole);
    case Repeat::Expires:
      return Replay::Expiry;
    case Repeat::Restore:
      return replay_of_restore(args);
    case Repeat::Add:
      return replay_of_add(args);
    case Repeat::Trim:
      return replay_of_trim(args, whole);
    case Repeat::Claim:
    case Repeat::Autoclaim:
      return replay_of_claim(args);
    case Repeat::Pop:
    case Repeat::Float:
    case Repeat::HashFloat:
      return Replay::Made;
    case Repeat::Sort:
      return replay_of_sort(args, whole);
    case Repeat::Lex:
      return replay_of_lex(args, whole);
    case Repeat::Script:
      return replay_of_script(args, whole);
    case Repeat::Hidden:
      return Replay::Suspect;
    case Repeat::Moves:
      return Replay::Copy;
    case Repeat::Unknown:
      return spec->keys.empty() ? Replay::Suspect : Replay::Copy;
  }
  return Replay::Suspect;
}

std::uint32_t append_questions(Replay replay, const CommandSpec* spec, Args args, Args keys,
                               const CommandTable& commands, std::string& out) {
  std::uint32_t count = 0;
  switch (replay) {
    case Replay::Same:
    case Replay::Suspect:
      break;
    case Replay::Expiry:
      for (const std::string_view key : keys) count += ask_expiry(key, commands, out);
      break;
    case Replay::Copy:
      for (const std::string_view key : keys) {
        append_command(out, {"DUMP", key});
        count += 1 + ask_expiry(key, commands, out);
      }
      break;
    case Replay::Made: {
      const bool stream = spec != nullptr && args.size() > 1 &&
                          (spec->repeat == Repeat::Add || spec->repeat == Repeat::Trim);
      if (stream && stream_args(args).approximate) {
        append_command(out, {"XLEN", args[1]});
        ++count;
      }
      break;
    }
  }
  return count;
}

}  // namespace crossfade::redis
