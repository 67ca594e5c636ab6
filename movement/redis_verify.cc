// SCAN of one side and then of the other, in pipelines whose size follows that of the values.
#include "movement/redis_verify.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "movement/dial.h"
#include "movement/redis_fence.h"
#include "movement/redis_functions.h"
#include "movement/redis_line.h"
#include "movement/redis_value.h"

namespace crossfade {

namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr std::string_view kScanCount = "500";
constexpr std::size_t kKeysFirst = 1;  // of one pipeline, until sizes are known
constexpr std::size_t kKeysMost = 100;
constexpr std::size_t kBytesFew = 4u << 20;    // of its replies: twice as many keys next time
constexpr std::size_t kBytesMany = 16u << 20;  // half as many
constexpr std::chrono::milliseconds kSecondLookAfter{100};  // of functions
constexpr std::size_t kRemembered_max = 100'000;  // keys that were found, not to be found twice

using Keys = std::vector<std::string>;

std::int64_t signed_number_in(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// "db3:keys=12,expires=0,…" -> {3: 12}
std::map<std::int32_t, std::uint64_t> keyspace_of(std::string_view info) {
  std::map<std::int32_t, std::uint64_t> keys;
  constexpr std::string_view kKeys = ":keys=";
  while (!info.empty()) {
    const std::size_t end = info.find('\n');
    const std::string_view line = info.substr(0, end);
    info = end == info.npos ? std::string_view() : info.substr(end + 1);
    const std::size_t at = line.find(kKeys);
    if (!line.starts_with("db") || at == line.npos) continue;
    keys[static_cast<std::int32_t>(signed_number_in(line.substr(2)))] =
        static_cast<std::uint64_t>(signed_number_in(line.substr(at + kKeys.size())));
  }
  return keys;
}

class Verification {
 public:
  Verification(const VerifyJob& job, const std::function<void(SuspectKey)>& found,
               const std::function<void(const VerifyCounts&)>& progress, std::stop_token stop)
      : job_(job),
        found_(found),
        progress_(progress),
        stop_(std::move(stop)),
        sides_{RedisLine(job.old_side, job.answer_ms, stop_),
               RedisLine(job.new_side, job.answer_ms, stop_)},
        lines_{&sides_[0], &sides_[1]} {}

  VerifyCounts run() {
    if (const Status done = all_databases(); !done) {
      counts_.why = done.error().message();
    } else if (auto why = functions(); !why) {
      counts_.why = why.error().message();
    } else {
      counts_.why = std::move(*why);
      counts_.complete = counts_.why.empty();
    }
    return counts_;
  }

 private:
  // Once, and not again when a connection is lost: a cursor means nothing to another process.
  Status connect() {
    for (RedisLine* line : lines_) {
      if (Status ready = line->ready(kDefaultDb); !ready) return ready;
    }
    return success();
  }

  Result<std::vector<std::int32_t>> databases() {
    std::vector<std::int32_t> found{kDefaultDb};
    for (RedisLine* line : lines_) {
      auto info = line->connection().call({"INFO", "keyspace"});
      if (!info) return info.error();
      if (info->is_error()) {
        return Error{Errc::BadConfig, "ask endpoint '" + line->address().id + "'",
                     words_of_refusal(info->text)};
      }
      for (const auto& [db, keys] : keyspace_of(info->text)) {
        const auto number = static_cast<std::uint32_t>(db);
        const bool is_own = number == line->address().db;
        const bool is_default = number == job_.old_side.db || number == job_.new_side.db;
        if (is_own || !is_default) counts_.total += keys;
        if (!is_default) found.push_back(db);
      }
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  Status all_databases() {
    if (Status connected = connect(); !connected) return connected;
    auto dbs = databases();
    if (!dbs) return dbs.error();
    for (const std::int32_t db : *dbs) {
      for (RedisLine* line : lines_) {
        if (Status selected = line->select(db); !selected) return selected;
      }
      remembered_.clear();
      for (RedisLine* line : lines_) {
        tells_expiries_ = line == lines_[0];
        if (Status scanned = scan(*line, db); !scanned) return scanned;
      }
    }
    return success();
  }

  // Behind the keys: whoever is told that they differ has all keys looked at, too.
  Result<std::string> functions() {
    auto why = compare_functions(lines_);
    if (!why || why->empty()) return why;
    rest(kSecondLookAfter, stop_);  // one that is being loaded is on one side only for a moment
    return compare_functions(lines_);
  }

  Status scan(RedisLine& side, std::int32_t db) {
    std::string cursor = "0";
    do {
      auto reply = side.connection().call({"SCAN", cursor, "COUNT", kScanCount});
      if (!reply) return reply.error();
      if (reply->elements.size() != 2) {
        return Error{Errc::BadConfig, "scan endpoint '" + side.address().id + "'",
                     words_of_refusal(reply->text)};
      }
      cursor = reply->elements[0].text;
      Keys keys;
      for (RedisReply& key : reply->elements[1].elements) keys.push_back(std::move(key.text));
      if (Status looked = look_at(keys, db); !looked) return looked;
    } while (cursor != "0");
    return success();
  }

  Status look_at(const Keys& keys, std::int32_t db) {
    for (std::size_t at = 0; at < keys.size();) {
      if (stop_.stop_requested()) return Error{Errc::Unavailable, "verify", "stopped"};
      const auto began = steady_clock::now();
      const std::size_t many = std::min(at_once_, keys.size() - at);
      auto values = read_many({keys.data() + at, many});
      if (!values) return values.error();
      for (std::size_t i = 0; i < many; ++i) {
        if (Status compared = compare(keys[at + i], (*values)[i], db); !compared) return compared;
      }
      at += many;
      counts_.looked_at += many;
      progress_(counts_);
      if (job_.rate_max > 0) {
        const auto wanted = nanoseconds(std::chrono::seconds(1)) * many / job_.rate_max;
        rest(wanted - (steady_clock::now() - began), stop_);
      }
    }
    return success();
  }

  Result<std::vector<BothValues>> read_many(std::span<const std::string> keys) {
    for (RedisLine* line : lines_) {
      if (Status sent = ask_for(*line, keys); !sent) return sent.error();
    }
    std::vector<BothValues> values(keys.size());
    std::size_t bytes = 0;
    for (std::size_t side = 0; side < lines_.size(); ++side) {
      RedisLine& line = *lines_[side];
      auto replies = line.connection().receive();
      if (replies && must_ask_otherwise(line, *replies)) {
        if (Status sent = ask_for(line, keys); !sent) return sent.error();
        replies = line.connection().receive();
      }
      if (!replies) return replies.error();
      const std::size_t each = replies->size() / keys.size();
      for (std::size_t i = 0; i < keys.size(); ++i) {
        auto value = value_of(std::span(*replies).subspan(i * each, each));
        if (!value) {
          return Error{value.error().code, "read a key of endpoint '" + line.address().id + "'",
                       value.error().reason};
        }
        bytes += value->dump.size();
        values[i][side] = std::move(*value);
      }
    }
    if (bytes < kBytesFew) at_once_ = std::min(at_once_ * 2, kKeysMost);
    if (bytes > kBytesMany) at_once_ = std::max<std::size_t>(at_once_ / 2, 1);
    return values;
  }

  static Status ask_for(RedisLine& line, std::span<const std::string> keys) {
    std::vector<RedisCommand> commands;
    for (const std::string& key : keys) {
      for (RedisCommand& question : questions_of_value(line, key)) {
        commands.push_back(std::move(question));
      }
    }
    return line.connection().send(commands);
  }

  static bool same(const BothValues& values) {
    return values[0].content() == values[1].content() && same_expiry(values[0], values[1]);
  }

  Status compare(const std::string& key, const BothValues& values, std::int32_t db) {
    const std::int64_t expires_ms = values[0].expires_ms;
    if (tells_expiries_ && values[0].exists() && expires_ms > 0 &&
        !job_.expires(db, key, static_cast<std::uint64_t>(expires_ms))) {
      ++counts_.expiries_unknown;
    }
    if (same(values)) return success();
    // A second look, at it alone: most that seem to differ were written between the two reads, or
    // differ in their form only.
    auto again = read_values(lines_, key);
    if (!again) return again.error();
    auto sameness = compare_values(lines_, key, *again, job_.compare);
    if (!sameness) return sameness.error();
    if (*sameness == Sameness::Same && same_expiry((*again)[0], (*again)[1])) return success();
    if (remembered_.contains(key)) return success();
    if (remembered_.size() < kRemembered_max) remembered_.insert(key);
    ++counts_.differing;
    if ((*again)[0].exists() != (*again)[1].exists()) {
      ++counts_.only_there[(*again)[0].exists() ? 0 : 1];
    }
    found_({db, key});
    return success();
  }

  const VerifyJob& job_;
  const std::function<void(SuspectKey)>& found_;
  const std::function<void(const VerifyCounts&)>& progress_;
  std::stop_token stop_;
  std::array<RedisLine, 2> sides_;  // index: Side
  BothLines lines_;
  VerifyCounts counts_;
  std::size_t at_once_ = kKeysFirst;
  bool tells_expiries_ = false;                 // once a key
  std::unordered_set<std::string> remembered_;  // of this database
};

}  // namespace

VerifyCounts verify_redis(const VerifyJob& job, const std::function<void(SuspectKey)>& found,
                          const std::function<void(const VerifyCounts&)>& progress,
                          std::stop_token stop) {
  return Verification(job, found, progress, std::move(stop)).run();
}

}  // namespace crossfade
