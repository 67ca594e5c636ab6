// Keeping a connection, and pausing after failures.
#include "movement/redis_line.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "movement/redis_fence.h"

namespace crossfade {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPauseFirst{250};
constexpr milliseconds kPauseMost{30'000};
constexpr milliseconds kAskedAfter{1'000};    // after that it is asked whether it still lives
constexpr std::uint32_t kLateAnswer_ms = 50;  // what a late answer is waited for, each time

// What stands behind that name, up to the end of its line; empty: it is not there.
std::string member_of(std::string_view info, std::string_view name) {
  const std::size_t at = info.find(name);
  if (at == info.npos) return {};
  info.remove_prefix(at + name.size());
  return std::string(info.substr(0, info.find_first_of("\r\n")));
}

}  // namespace

std::string run_id_in(std::string_view info) { return member_of(info, "run_id:"); }

std::optional<std::uint64_t> evicted_keys_in(std::string_view info) {
  constexpr std::string_view kEvicted = "evicted_keys:";
  const std::size_t at = info.find(kEvicted);
  if (at == info.npos) return std::nullopt;
  info.remove_prefix(at + kEvicted.size());
  std::uint64_t keys = 0;
  const auto read = std::from_chars(info.data(), info.data() + info.size(), keys);
  return read.ec == std::errc() ? std::optional(keys) : std::nullopt;
}

Lineage lineage_in(std::string_view info) {
  return {.id = member_of(info, "master_replid:"),
          .former_id = member_of(info, "master_replid2:"),
          .replica = member_of(info, "role:") == "slave"};
}

bool took_over(const Lineage& before, const Lineage& now) {
  if (before.id.empty() || now.id.empty() || now.id == before.id) return false;
  if (now.former_id == before.id) return false;
  const bool no_former = now.former_id.find_first_not_of('0') == std::string::npos;
  return now.replica || !no_former;
}

RedisLine::RedisLine(EndpointAddress address, std::uint32_t answer_ms, std::stop_token stop)
    : address_(std::move(address)), answer_ms_(answer_ms), stop_(std::move(stop)) {}

void RedisLine::readdress(const EndpointAddress& address) {
  if (address == address_) return;
  address_ = address;
  connection_.reset();
  pause_until_ = {};
}

Status RedisLine::ready(std::int32_t db) {
  if (steady_clock::now() < pause_until_) return reason_;
  if (Status made = make_ready(); !made) {
    connection_.reset();
    pause_ = std::clamp(pause_ * 2, kPauseFirst, kPauseMost);
    pause_until_ = steady_clock::now() + pause_;
    reason_ = made.error();
    return made;
  }
  pause_ = milliseconds(0);
  return select(db);  // a database that is refused says nothing about the others
}

Status RedisLine::make_ready() {
  if (connection_) connection_->end_by(Deadline::max());
  if (connection_ && !check_alive()) connection_.reset();  // the server ends idle ones
  if (!connection_) {
    if (Status opened = open(); !opened) return opened;
  }
  return settle_owing();
}

Status RedisLine::open() {
  auto opened = RedisConnection::open(address_, answer_ms_, stop_);
  if (!opened) return opened.error();
  connection_.emplace(std::move(*opened));
  selected_ = address_.db;
  tells_expiry = true;
  const std::vector<RedisCommand> questions{{"CLIENT", "ID"}, {"INFO", "server"}};
  auto answers = connection_->call_all(questions);
  if (!answers) return answers.error();
  if (const RedisReply& told = answers->front(); told.text.starts_with("NOAUTH")) {
    return Error{Errc::BadConfig, "ask endpoint '" + address_.id + "'", told.text};
  }
  id_ = answers->front().number;  // 0 where it is refused
  run_id_ = run_id_in(answers->back().is_error() ? std::string_view() : answers->back().text);
  alive_at_ = steady_clock::now();
  return success();
}

Status RedisLine::check_alive() {
  if (connection_->lost()) return Error{Errc::Unavailable, "", "lost"};
  if (steady_clock::now() - alive_at_ < kAskedAfter) return success();
  auto pong = connection_->call({"PING"});
  if (!pong) return pong.error();
  alive_at_ = steady_clock::now();
  return success();
}

Status RedisLine::select(std::int32_t db) {
  const std::uint32_t wanted = db < 0 ? address_.db : static_cast<std::uint32_t>(db);
  if (wanted == selected_) return success();
  auto reply = connection_->call({"SELECT", std::to_string(wanted)});
  if (!reply) return reply.error();
  if (reply->is_error()) {
    return Error{Errc::BadConfig, "select a database of endpoint '" + address_.id + "'",
                 words_of_refusal(reply->text)};
  }
  selected_ = wanted;
  return success();
}

void RedisLine::give_up(Under under) {
  if (connection_ && under == Under::Writing && connection_->owed() > 0) {
    owing_.emplace(Owing{std::move(*connection_), id_, run_id_});
  }
  connection_.reset();
}

Status RedisLine::settle_owing() {
  if (!owing_) return success();
  auto over = is_over(*owing_);
  if (!over) return over.error();
  if (!*over) {
    return Error{Errc::Unavailable, "ask endpoint '" + address_.id + "'",
                 "a write of the repair worker that got no answer in time may still run there, "
                 "and CLIENT KILL is refused"};
  }
  owing_.reset();
  return success();
}

// Ended by its id: unless the server is another process since, which is what a known run_id tells;
// there the same id would be somebody else's.
Result<bool> RedisLine::is_over(Owing& owing) {
  if (!owing.run_id.empty() && !run_id_.empty() && owing.run_id != run_id_) return true;
  if (owing.id != 0 && (!owing.run_id.empty() || !owing.connection.lost())) {
    auto fenced = end_clients(*connection_, {ServersClient{owing.id, {}}});
    if (!fenced) return fenced.error();
    if (fenced->why.empty()) return true;
  }
  // Its late answer, or its end as the server closed it.
  owing.connection.end_by(Deadline::max());
  return owing.connection.receive_late(kLateAnswer_ms).ok() || owing.connection.lost();
}

}  // namespace crossfade
