// Fence, hold, read, copy, read again.
#include "movement/redis_repair.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "movement/redis_fence.h"
#include "movement/redis_rewrite.h"

namespace crossfade {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kLines_most = 64;       // beyond, those that owe nothing are closed
constexpr std::uint32_t kDoublings_most = 8;  // of a turn's time

Error refused(const RedisLine& line, const char* doing, std::string why) {
  return Error{Errc::Unavailable, std::string(doing) + " endpoint '" + line.address().id + "'",
               std::move(why)};
}

// The server takes no dump of this form, or this user may not give it one: commands of the value's
// type may do. Not so where it takes no write at all: no memory, a replica, loading, …
bool wants_commands(const RedisReply& restored) {
  return restored.text.starts_with("ERR ") || restored.text.starts_with("NOPERM") ||
         restored.text.starts_with("Bad data format");
}

// Sends writes. What is sent and not answered may still run there.
Result<std::vector<RedisReply>> write(RedisLine& line, const std::vector<RedisCommand>& commands) {
  auto replies = line.connection().call_all(commands);
  if (!replies) line.give_up(RedisLine::Under::Writing);
  return replies;
}

Status write_one(RedisLine& line, const RedisCommand& command) {
  auto replies = write(line, {command});
  if (!replies) return replies.error();
  if (!replies->front().is_error()) return success();
  return refused(line, "write to", words_of_refusal(replies->front().text));
}

// The first refusal among the replies to a transaction; nullptr when it was run.
const RedisReply* refusal_in(const std::vector<RedisReply>& replies) {
  const auto is_error = [](const RedisReply& reply) { return reply.is_error(); };
  const auto outside = std::find_if(replies.begin(), replies.end(), is_error);
  if (outside != replies.end()) return &*outside;
  const auto& run = replies.back().elements;
  const auto inside = std::find_if(run.begin(), run.end(), is_error);
  return inside == run.end() ? nullptr : &*inside;
}

}  // namespace

RedisLine& RedisRepair::line_to(const EndpointAddress& address) {
  const auto found = std::find_if(lines_.begin(), lines_.end(), [&](const RedisLine& line) {
    const EndpointAddress& known = line.address();
    return known.id == address.id && known.host == address.host && known.port == address.port;
  });
  if (found != lines_.end()) {
    found->readdress(address);
    return *found;
  }
  return lines_.emplace_back(address, limits_.answer_ms, stop_);
}

milliseconds RedisRepair::time_of_turn(const RepairTask& task) const {
  const std::uint64_t time = std::uint64_t{limits_.turn_ms}
                             << std::min(task.attempts, kDoublings_most);
  return milliseconds(std::min<std::uint64_t>(time, limits_.turn_most_ms));
}

Settled RedisRepair::settle(const RepairTask& task) {
  if (lines_.size() > kLines_most) {
    lines_.remove_if([](const RedisLine& line) { return !line.owes(); });
  }
  Settled settled;
  Turn turn{.task = task,
            .lines = {&line_to(task.old_side), &line_to(task.new_side)},
            .settled = settled};
  const auto failed = [&](const Error& error) {
    settled.outcome = RepairOutcome::Failed;
    settled.why = error.message();
    return settled;
  };
  for (RedisLine* line : turn.lines) {
    Status ready = line->ready(task.at.db);
    if (ready) continue;
    failed(ready.error());
    if (ready.error().code == Errc::Unavailable) {
      settled.outcome = RepairOutcome::Unreachable;
      doors_.rest(task);
    }
    return settled;
  }
  if (!doors_.wake(task, limits_.hold_ms)) {
    settled.outcome = RepairOutcome::Newer;
    return settled;
  }
  // Once before the turn, so that it is short, and once in it, so that none is missed.
  if (Status fenced = fence(turn); !fenced) return failed(fenced.error());
  std::shared_ptr<void> held = doors_.hold(task, limits_.hold_ms);
  if (held == nullptr) {
    settled.outcome = RepairOutcome::Newer;
    return settled;
  }
  turn.right_side = doors_.right(task);
  const Deadline began = steady_clock::now();
  for (RedisLine* line : turn.lines) line->connection().end_by(began + time_of_turn(task));
  const Status status = settle_in_turn(turn);
  held.reset();
  settled.held_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - began).count());
  return status ? settled : failed(status.error());
}

Status RedisRepair::fence(Turn& turn) {
  for (const Side side : {Side::Old, Side::New}) {
    const auto ghosts = doors_.ghosts(turn.task, side);
    if (ghosts.empty()) continue;
    RedisLine& line = *turn.lines[static_cast<std::size_t>(side)];
    auto fenced = end_clients(line.connection(), ghosts);
    if (!fenced) {
      line.give_up(RedisLine::Under::Reading);
      return fenced.error();
    }
    turn.settled.fenced += fenced->gone.size();
    if (!fenced->gone.empty()) doors_.fenced(turn.task, side, fenced->gone);
    if (!fenced->why.empty()) return refused(line, "end connections at", fenced->why);
  }
  return success();
}

Status RedisRepair::settle_in_turn(Turn& turn) {
  if (Status fenced = fence(turn); !fenced) return fenced;
  const std::string& key = turn.task.at.key;
  auto values = read_values(turn.lines, key);
  if (!values) return values.error();
  const RedisValue& right = (*values)[static_cast<std::size_t>(turn.right_side)];
  if (right.exists() && right.expires_ms > 0) {
    doors_.expires(turn.task, static_cast<std::uint64_t>(right.expires_ms));
  }
  auto sameness = compare_values(turn.lines, key, *values, limits_.compare);
  if (!sameness) return sameness.error();
  if (*sameness == Sameness::Same && same_expiry((*values)[0], (*values)[1])) {
    turn.settled.outcome = RepairOutcome::Equal;
    return success();
  }
  if (Status copied = copy(turn, right, *sameness); !copied) return copied;
  auto proof = is_copied(turn);
  if (!proof) return proof.error();
  if (!*proof) {
    return Error{Errc::Unavailable, "copy a key", "the sides still differ after it was copied"};
  }
  turn.settled.outcome = RepairOutcome::Repaired;
  return success();
}

Status RedisRepair::copy(Turn& turn, const RedisValue& right, Sameness sameness) {
  const auto leave = doors_.may_copy(turn.task.migration, other(turn.right_side));
  if (leave == nullptr) {
    return Error{Errc::Unavailable, "copy a key", "the migration does not write to both sides"};
  }
  Status copied = copy_with_leave(turn, right, sameness);
  // What got no answer may still be run: it is ended before the leave is.
  if (!copied && turn.wrong().owes()) (void)turn.wrong().ready(turn.task.at.db);
  return copied;
}

Status RedisRepair::copy_with_leave(Turn& turn, const RedisValue& right, Sameness sameness) {
  const std::string& key = turn.task.at.key;
  RedisLine& wrong = turn.wrong();
  if (!right.exists()) return write_one(wrong, {"DEL", key});
  const std::string expires = std::to_string(std::max<std::int64_t>(right.expires_ms, 0));
  const bool ends = right.expires_ms >= 0;
  if (sameness == Sameness::Same) {  // only the expiry differs
    return write_one(wrong,
                     ends ? RedisCommand{"PEXPIREAT", key, expires} : RedisCommand{"PERSIST", key});
  }
  turn.settled.bytes_copied = right.dump.size();
  turn.settled.big = right.dump.size() > limits_.big_value;
  RedisCommand restore{"RESTORE", key, expires, right.dump, "REPLACE"};
  if (ends) restore.emplace_back("ABSTTL");
  auto replies = write(wrong, {restore});
  if (!replies) return replies.error();
  const RedisReply& restored = replies->front();
  if (!restored.is_error()) return success();
  const std::string words = words_of_refusal(restored.text);
  if (wants_commands(restored)) return rewrite(turn, right, words);
  return refused(wrong, "write to", words);
}

Status RedisRepair::rewrite(Turn& turn, const RedisValue& right, const std::string& refusal) {
  const std::string& key = turn.task.at.key;
  RedisLine& wrong = turn.wrong();
  auto content = read_content(turn.right(), key, right, limits_.rewrite);
  if (!content) return content.error();
  if (!content->has_value()) {
    return refused(wrong, "write to",
                   "RESTORE is refused (" + refusal +
                       "), and the value is too large, or of a type that ordinary commands cannot "
                       "write");
  }
  const Rewrite rewritten = rewrite_of(key, **content, right.expires_ms, wrong.tells_expiry);
  auto replies = write(wrong, rewritten.commands);
  if (!replies) return replies.error();
  if (const RedisReply* error = refusal_in(*replies)) {
    return refused(wrong, "write to", words_of_refusal(error->text));
  }
  turn.rewritten = true;
  return success();
}

// Both sides are read again. A value that is too large for its content to be compared was taken by
// RESTORE, which checks a dump's checksum: there the same type and size are proof enough.
Result<bool> RedisRepair::is_copied(Turn& turn) {
  const std::string& key = turn.task.at.key;
  auto values = read_values(turn.lines, key);
  if (!values) return values.error();
  const auto& [one, another] = *values;
  if (!same_expiry(one, another)) return false;
  auto sameness =
      compare_values(turn.lines, key, *values, turn.rewritten ? limits_.rewrite : limits_.compare);
  if (!sameness) return sameness.error();
  if (*sameness != Sameness::Untold) return *sameness == Sameness::Same;
  if (turn.rewritten || one.type() != another.type()) return false;
  std::array<std::optional<std::uint64_t>, 2> sizes;
  for (std::size_t side = 0; side < sizes.size(); ++side) {
    auto size = read_size(*turn.lines[side], key, one.type());
    if (!size) return size.error();
    sizes[side] = *size;
  }
  return sizes[0] == sizes[1];
}

}  // namespace crossfade
