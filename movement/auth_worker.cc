// A queue, a cache, and one question at a time.
#include "movement/auth_worker.h"

#include <utility>
#include <variant>

#include "protocols/postgres/auth_query.h"

namespace crossfade {

namespace {

constexpr std::chrono::seconds kIdle{1};
constexpr std::chrono::seconds kLeftAlone{1};
// ISO and UTC: times are read, not shown. libpq's own word for settings of start-up.
constexpr const char* kOptions =
    "-c search_path=pg_catalog -c DateStyle=ISO -c TimeZone=UTC -c "
    "default_transaction_read_only=on "
    "-c statement_timeout=3000";

postgres::Timestamp now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::microseconds>(since).count()};
}

// A verifier and a time have a text; NULL comes as none.
std::optional<std::string_view> given(std::string_view text) {
  if (text.empty()) return std::nullopt;
  return text;
}

AuthLookup failed(std::string why, Errc errc) {
  return {.found = AuthLookup::Found::Failed, .why = std::move(why), .errc = errc};
}

AuthLookup nobody(std::string why = {}) {
  return {.found = AuthLookup::Found::Nobody, .why = std::move(why)};
}

AuthLookup judged(PostgresRow fields, const std::string& user) {
  if (fields.size() != 3) return failed("the auth query gives no three columns", Errc::BadInput);
  const postgres::AuthRow row{fields[0], given(fields[1]), given(fields[2])};
  auto answer = postgres::judge(row, user, now());
  if (!answer) return failed(answer.error().message(), Errc::BadInput);
  const auto* usable = std::get_if<postgres::Usable>(&answer.value());
  if (usable == nullptr) return nobody();
  if (const auto* scram = std::get_if<postgres::ScramVerifier>(&usable->verifier)) {
    return {.found = AuthLookup::Found::Verifier, .verifier = *scram};
  }
  return nobody("user \"" + user + "\" has an md5 verifier, and only SCRAM-SHA-256 can end here");
}

}  // namespace

void AuthWorker::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void AuthWorker::stop() {
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
  }
  std::deque<Job> left;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    left.swap(waiting_);
  }
  for (Job& job : left) job.done(failed("the sidecar is stopping", Errc::Unavailable));
}

AuthDoor AuthWorker::door() {
  return {.look_up = [this](const EndpointAddress& at, const AuthQuery& query,
                            const std::string& user, std::function<void(AuthLookup)> done) {
    EndpointAddress asked = at;
    asked.username = query.username;
    asked.password = query.password;
    if (!query.database.empty()) asked.database = query.database;
    offer({std::move(asked), query, user, std::move(done)});
  }};
}

void AuthWorker::offer(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_ && waiting_.size() < limits_.waiting_max) {
      waiting_.push_back(std::move(job));
      wake_.notify_one();
      return;
    }
  }
  job.done(failed("too many logins wait for their auth query", Errc::Overloaded));
}

// Nothing: there was nothing to ask for a while, or the end is requested.
std::optional<AuthWorker::Job> AuthWorker::next(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, kIdle, [this] { return !waiting_.empty(); });
  if (stop.stop_requested() || waiting_.empty()) return std::nullopt;
  Job job = std::move(waiting_.front());
  waiting_.pop_front();
  return job;
}

void AuthWorker::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::optional<Job> job = next(stop);
    if (job) {
      job->done(look_up(*job, stop));
    } else {
      servers_.clear();  // idle connections would be in somebody's way: of DROP DATABASE
    }
  }
}

AuthLookup AuthWorker::look_up(const Job& job, const std::stop_token& stop) {
  Key key(job.at.id, job.at.username, job.query.sql, job.user);
  const auto known = cached_.find(key);
  if (known != cached_.end() && Clock::now() < known->second.until) return known->second.answer;
  AuthLookup answer = ask_server(job, stop);
  if (answer.found != AuthLookup::Found::Failed && job.query.cache_ms > 0) {
    if (cached_.size() >= limits_.cached_max) cached_.clear();
    const auto until = Clock::now() + std::chrono::milliseconds(job.query.cache_ms);
    cached_.insert_or_assign(std::move(key), Cached{answer, until});
  }
  return answer;
}

AuthWorker::Server& AuthWorker::server_of(const EndpointAddress& address) {
  Server& server = servers_[address.id + '/' + address.username];
  if (!(server.address == address)) server = Server{.address = address};
  return server;
}

// A connection that was kept may have ended meanwhile: then a new one is tried.
AuthLookup AuthWorker::ask_server(const Job& job, const std::stop_token& stop) {
  Server& server = server_of(job.at);
  if (Clock::now() < server.left_until) return failed(server.why, server.errc);
  const Deadline end = Clock::now() + std::chrono::milliseconds(limits_.answer_ms);
  const bool kept = server.connection.has_value();
  if (!kept) {
    auto connection = PostgresConnection::open(job.at, "", end, stop, kOptions);
    if (!connection) {
      server.why = connection.error().message();
      server.errc = connection.error().code;
      server.left_until = Clock::now() + kLeftAlone;
      return failed(server.why, server.errc);
    }
    server.connection = std::move(*connection);
  }
  AuthLookup answer = nobody();
  bool first_seen = false;
  bool several = false;
  const Status asked =
      server.connection->ask_of(job.query.sql.c_str(), job.user, end, [&](PostgresRow row) {
        answer = judged(row, job.user);
        several = std::exchange(first_seen, true);
        return !several;
      });
  if (asked) return answer;
  server.connection.reset();
  if (several) return failed("the auth query gives several rows for one user", Errc::BadInput);
  if (asked.error().code == Errc::Unavailable && kept) return ask_server(job, stop);
  return failed(asked.error().message(), asked.error().code);
}

}  // namespace crossfade
