// How a write is repeated on the other side so that both sides end equal.
//
// Two equal servers that are given the same writes in the same order stay equal, but for writes
// whose effect depends on chance, the clock, or on what the protocol does not tell. Those are
// repeated as Redis's own replication does: by their effect, made from the first side's reply, or
// from what it answers to questions asked right behind the write.
//
// Pure. Knows nothing of sockets, sides, or locks: the caller sees to it that nobody else writes
// the keys between the write, the questions, and their repetition.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocols/redis/command.h"
#include "protocols/redis/facts.h"
#include "protocols/redis/request.h"

namespace crossfade::redis {

enum class Replay : std::uint8_t {
  Same,    // the same bytes, at once
  Expiry,  // the same bytes, at once; behind them, the expiry that the key then has on the first
           // side
  Made,  // other commands, made from the reply (SPOP -> SREM …) and from the answers to questions
  Copy,  // the keys are copied as the first side then has them: DUMP, PEXPIRETIME -> RESTORE, DEL
  Suspect,  // the same bytes, at once; the effect may differ all the same: its keys are suspected
};

// What a command's arguments say about repeating it.
//   args   all arguments of a whole request; of one that is still arriving, those that are here
//   whole  false: what has not arrived may hold an option; then the more careful answer
//   cost   no allocation; one look at the command's name for most
Replay replay_of(const CommandSpec* spec, std::span<const std::string_view> args, bool whole);

// Appends the questions that must follow the write on the first side at once; returns how many.
//   keys      the request's keys, each once
//   commands  the first side's: has it no PEXPIRETIME, it is asked the time and how long is left
std::uint32_t append_questions(Replay replay, const CommandSpec* spec,
                               std::span<const std::string_view> args,
                               std::span<const std::string_view> keys, const CommandTable& commands,
                               std::string& out);

// A write that is over on the first side, without an error.
struct Done {
  const CommandSpec* spec = nullptr;
  std::span<const std::string_view> args;
  std::span<const std::string_view> keys;     // each once
  std::string_view reply;                     // whole, RESP2 or RESP3
  std::span<const std::string_view> answers;  // whole replies to the questions, in order
};

// Appends the commands that repeat it on the other side (for Expiry: what follows the same bytes);
// returns how many, 0 when nothing is to be done. nullopt: it cannot be told (a reply of an unknown
// form, an error among the answers, more than the protocol can carry); `out` is as it was, and the
// keys are to be suspected.
std::optional<std::uint32_t> append_repeat(Replay replay, const Done& done, std::string& out);

}  // namespace crossfade::redis
