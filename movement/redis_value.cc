// Reading values, with what servers before Redis 7 have instead of PEXPIRETIME.
#include "movement/redis_value.h"

#include <chrono>
#include <cstdlib>
#include <utility>

#include "movement/redis_fence.h"

namespace crossfade {

namespace {

constexpr std::size_t kFooter = 10;          // bytes at the end of a dump: version, checksum
constexpr std::int64_t kExpirySlack_ms = 1;  // servers round
constexpr int kReads_most = 3;               // of a key that appears or vanishes while it is read

// The expiry is asked for first: a key that ends in between is then simply not there.
constexpr std::size_t kOld = 4;  // TIME, PTTL, TIME, DUMP instead of PEXPIRETIME, DUMP

std::int64_t milliseconds_of(const RedisReply& time) {
  if (time.elements.size() != 2) {  // refused: our own clock
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  }
  return std::strtoll(time.elements[0].text.c_str(), nullptr, 10) * 1000 +
         std::strtoll(time.elements[1].text.c_str(), nullptr, 10) / 1000;
}

Error refusal(const RedisLine& line, const Error& error) {
  return Error{error.code, "read a key of endpoint '" + line.address().id + "'", error.reason};
}

// A key that was not there for one question and is for the next.
bool appeared(const RedisValue& value) { return value.exists() && value.expires_ms == -2; }

// One look at both. Asks again where PEXPIRETIME turns out to be unknown.
Result<BothValues> look(const BothLines& lines, std::string_view key) {
  for (RedisLine* line : lines) {
    if (Status sent = line->connection().send(questions_of_value(*line, key)); !sent) {
      for (RedisLine* each : lines) each->give_up(RedisLine::Under::Reading);
      return sent.error();
    }
  }
  BothValues values;
  for (std::size_t side = 0; side < lines.size(); ++side) {
    RedisLine& line = *lines[side];
    auto replies = line.connection().receive();
    if (replies && must_ask_otherwise(line, *replies)) {
      replies = line.connection().call_all(questions_of_value(line, key));
    }
    if (!replies) {
      for (RedisLine* each : lines) each->give_up(RedisLine::Under::Reading);
      return replies.error();
    }
    auto value = value_of(*replies);
    if (!value) {
      if (side == 0) (void)lines[1]->connection().receive();  // what was asked for is taken
      return refusal(line, value.error());
    }
    values[side] = std::move(*value);
  }
  return values;
}

}  // namespace

ValueType RedisValue::type() const {
  if (dump.empty()) return ValueType::None;
  switch (static_cast<unsigned char>(dump.front())) {  // RDB_TYPE_… of Redis' rdb.h
    case 0:
      return ValueType::String;
    case 1:
    case 10:
    case 14:
    case 18:
      return ValueType::List;
    case 2:
    case 11:
    case 20:
      return ValueType::Set;
    case 3:
    case 5:
    case 12:
    case 17:
      return ValueType::Zset;
    case 4:
    case 9:
    case 13:
    case 16:
      return ValueType::Hash;
    case 15:
    case 19:
    case 21:
      return ValueType::Stream;
    default:
      return ValueType::Unknown;
  }
}

std::string_view RedisValue::content() const {
  const std::string_view all(dump);
  return all.size() <= kFooter ? all : all.substr(0, all.size() - kFooter);
}

std::vector<RedisCommand> questions_of_value(const RedisLine& line, std::string_view key) {
  if (line.tells_expiry) return {{"PEXPIRETIME", key}, {"DUMP", key}};
  return {{"TIME"}, {"PTTL", key}, {"TIME"}, {"DUMP", key}};
}

bool must_ask_otherwise(RedisLine& line, std::span<const RedisReply> replies) {
  if (!line.tells_expiry || replies.empty() || !is_forbidden(replies.front())) return false;
  line.tells_expiry = false;
  return true;
}

Result<RedisValue> value_of(std::span<RedisReply> replies) {
  RedisReply& dump = replies.back();
  const RedisReply& expiry = replies[replies.size() == kOld ? 1 : 0];
  if (dump.is_error()) return Error{Errc::BadConfig, "", words_of_refusal(dump.text)};
  if (expiry.is_error()) return Error{Errc::BadConfig, "", words_of_refusal(expiry.text)};
  RedisValue value;
  if (dump.type != RedisReply::Type::Text) return value;
  value.dump = std::move(dump.text);
  value.expires_ms = expiry.number;
  if (replies.size() == kOld && expiry.number >= 0) {
    const std::int64_t before = milliseconds_of(replies[0]);
    value.expires_ms = before + expiry.number;
    value.unsure_ms = milliseconds_of(replies[2]) - before + 1;
  }
  return value;
}

bool same_expiry(const RedisValue& one, const RedisValue& other) {
  if (one.expires_ms < 0 || other.expires_ms < 0) return one.expires_ms == other.expires_ms;
  const std::int64_t apart = std::abs(one.expires_ms - other.expires_ms);
  return apart <= kExpirySlack_ms + one.unsure_ms + other.unsure_ms;
}

Result<BothValues> read_values(const BothLines& lines, std::string_view key) {
  for (int reads = 0; reads < kReads_most; ++reads) {
    auto values = look(lines, key);
    if (!values) return values.error();
    if (!appeared((*values)[0]) && !appeared((*values)[1])) return values;
  }
  return Error{Errc::Unavailable, "read a key", "somebody else writes it all the time"};
}

}  // namespace crossfade
