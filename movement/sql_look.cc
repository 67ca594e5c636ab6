// Old, new, and old again, as for Redis; each in a transaction of its own.
#include "movement/sql_look.h"

#include <algorithm>

#include "protocols/postgres/frontend.h"
#include "protocols/postgres/repeated_reads.h"
#include "protocols/postgres/startup.h"
#include "protocols/postgres/types.h"

namespace crossfade {

namespace {

using postgres::Difference;
using postgres::How;
using postgres::ResultDigest;

constexpr std::size_t kServersMax = 16;        // connections kept
constexpr std::size_t kPreparedMax = 1 << 20;  // bytes answered to BEGIN and settings

// Behind the session's settings, which may have been other ones. Turning a transaction read only is
// allowed at any time, the other way is not.
std::string guard(std::uint32_t timeout_ms) {
  return "SET LOCAL transaction_read_only = on; SET LOCAL statement_timeout = " +
         std::to_string(timeout_ms);
}

bool can_be_asked(const Mismatch& mismatch) {
  return mismatch.read && mismatch.route && mismatch.route->new_side && mismatch.sql &&
         !mismatch.request.empty() &&
         postgres::turns_of(mismatch.request) == mismatch.sql->hows.size();
}

// By the texts' own account the answers may differ.
bool drawn(const AskedSql& sql) {
  return std::find(sql.hows.begin(), sql.hows.end(), How::ShapeOnly) != sql.hows.end();
}

}  // namespace

AskedServer::AskedServer(EndpointAddress address, const AskedSql& sql,
                         const CompareSettings& settings, std::stop_token stop)
    : address_(std::move(address)),
      entry_{.database = sql.database, .parameters = sql.parameters},
      settings_(settings),
      stop_(std::move(stop)) {}

bool AskedServer::serves(const EndpointAddress& address, const AskedSql& sql) const {
  return address_ == address && entry_.database == sql.database &&
         entry_.parameters == sql.parameters;
}

Status AskedServer::make_ready() {
  if (std::chrono::steady_clock::now() < not_before_) {
    return Error{Errc::Unavailable, "ask endpoint '" + address_.id + "'",
                 "it failed a moment ago and is left alone"};
  }
  if (connection_) return success();
  PostgresWire::Entry entry = entry_;
  postgres::append_parameter(entry.parameters, "default_transaction_read_only", "on");
  postgres::append_parameter(entry.parameters, "application_name", "crossfade");
  auto opened = PostgresWire::open(address_, entry, settings_.compare_timeout_ms, stop_);
  if (!opened) return opened.error();
  connection_.emplace(std::move(opened.value()));
  return success();
}

Result<ToldAgain> AskedServer::ask(const AskedSql& sql, const std::string& reads) {
  const bool kept = connection_.has_value();
  Result<ToldAgain> told = ask_once(sql, reads);
  // A kept connection may have been closed by the server meanwhile: then once more on a new one.
  if (!told && kept && told.error().code == Errc::Unavailable) told = ask_once(sql, reads);
  if (!told && told.error().code == Errc::Unavailable) {
    not_before_ =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(settings_.compare_timeout_ms);
  }
  return told;
}

Status AskedServer::prepare(const std::string& settings) {
  std::string messages;
  postgres::append_query(messages, "BEGIN READ ONLY");
  messages += settings;
  postgres::append_query(messages, guard(settings_.compare_timeout_ms));
  ResultDigest digest;
  Status asked = connection_->ask(messages, postgres::turns_of(messages), kPreparedMax,
                                  [&](const postgres::Piece& piece) { digest.on_piece(piece); });
  if (!asked || (digest.failures() == 0 && digest.status() == postgres::Transaction::Open)) {
    return asked;
  }
  const std::string sqlstate(digest.sqlstate().data(), digest.sqlstate().size());
  return Error{Errc::BadConfig, "give endpoint '" + address_.id + "' the session's settings",
               "it refuses them (" + sqlstate + ")"};
}

Result<ToldAgain> AskedServer::ask_once(const AskedSql& sql, const std::string& reads) {
  ToldAgain told;
  const auto take = [&](const postgres::Piece& piece) {
    told.bytes.append(piece.bytes);
    told.digest.on_piece(piece);
    if (told.digest.turns() < sql.hows.size()) told.digest.expect(sql.hows[told.digest.turns()]);
  };
  Status done = make_ready();
  if (done) done = prepare(sql.settings);
  if (done && !sql.hows.empty()) told.digest.expect(sql.hows[0]);
  if (done) {
    done = connection_->ask(reads, sql.hows.size(), settings_.compare_again_max, take);
  }
  std::string end;
  postgres::append_query(end, "ROLLBACK");
  if (done) done = connection_->ask(end, 1, kPreparedMax, [](const postgres::Piece&) {});
  if (done) return told;
  connection_.reset();
  return done.error();
}

AskedServer& SqlLook::server_at(const EndpointAddress& address, const AskedSql& sql) {
  for (auto at = servers_.begin(); at != servers_.end(); ++at) {
    if (!at->serves(address, sql)) continue;
    servers_.splice(servers_.begin(), servers_, at);
    return servers_.front();
  }
  if (servers_.size() == kServersMax) servers_.pop_back();
  return servers_.emplace_front(address, sql, settings_, stop_);
}

MismatchClass SqlLook::look(Mismatch& mismatch) {
  if (!can_be_asked(mismatch)) return MismatchClass::Unsure;
  AskedSql& sql = *mismatch.sql;
  const std::string& reads_of_new = sql.new_request.empty() ? mismatch.request : sql.new_request;
  AskedServer& old_side = server_at(mismatch.route->old_side, sql);
  auto before = old_side.ask(sql, mismatch.request);
  auto beside = server_at(*mismatch.route->new_side, sql).ask(sql, reads_of_new);
  if (!before || !beside) return MismatchClass::Unsure;
  // An error that was not there the first time is about this asking: other rights, a time limit.
  if (before->digest.failures() > sql.failures[static_cast<std::size_t>(Side::Old)] ||
      beside->digest.failures() > sql.failures[static_cast<std::size_t>(Side::New)]) {
    return MismatchClass::Unsure;
  }
  postgres::Compared compared = compare(before->digest, beside->digest, How::Exact);
  if (compared.same()) return MismatchClass::Race;
  sql.compared = std::move(compared);
  mismatch.old_reply = std::move(before->bytes);
  mismatch.new_reply = std::move(beside->bytes);
  if (sql.compared.what == Difference::Order) return MismatchClass::Tolerable;
  auto after = old_side.ask(sql, mismatch.request);
  if (after && compare(before->digest, after->digest, How::Exact).same()) {
    return MismatchClass::Real;
  }
  return drawn(sql) ? MismatchClass::Chance : MismatchClass::Unsure;
}

}  // namespace crossfade
