// The thread that keeps the connections.
#include "movement/restart_watch.h"

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "movement/redis_line.h"

namespace crossfade {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// One by one: several sections in one command are of Redis 7 on.
std::array<RedisCommand, 2> questions() {
  return {RedisCommand{"INFO", "stats"}, RedisCommand{"INFO", "replication"}};
}

// Of those, and of the first question: what was told; empty: nothing.
std::string_view text_of(const RedisReply& reply) {
  return reply.is_error() ? std::string_view() : std::string_view(reply.text);
}

// It refuses INFO to this user, or to everybody.
bool forbids_info(std::string_view error) {
  return error.starts_with("NOPERM") || error.starts_with("NOAUTH") ||
         error.starts_with("ERR unknown command");
}

}  // namespace

RestartWatch::RestartWatch(WatchDoors doors, WatchLimits limits)
    : doors_(std::move(doors)), limits_(limits) {}

void RestartWatch::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void RestartWatch::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void RestartWatch::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    try {
      look(stop);
    } catch (const std::exception&) {  // no memory: the next look sees the same
    }
    rest(milliseconds(limits_.look_ms), stop);
  }
  servers_.clear();
}

void RestartWatch::look(const std::stop_token& stop) {
  const std::vector<WatchedServer> wanted = doors_.servers();
  servers_.remove_if([&](const Server& server) {
    return std::none_of(wanted.begin(), wanted.end(),
                        [&](const WatchedServer& one) { return one.address == server.address; });
  });
  for (const WatchedServer& one : wanted) {
    auto server = std::find_if(servers_.begin(), servers_.end(),
                               [&](const Server& known) { return known.address == one.address; });
    if (server == servers_.end()) {
      server = servers_.emplace(server);
      server->address = one.address;
    }
    find_out(*server, stop);
    if (!server->connection || server->told.contains(one.migration)) continue;
    doors_.saw(one, server->sight);
    server->told.insert(one.migration);
  }
}

// Sees to it that there is a connection, and that it is known to whom.
void RestartWatch::find_out(Server& server, const std::stop_token& stop) {
  if (server.connection && keep(server)) return;
  server.connection.reset();
  const auto now = steady_clock::now();
  if (now < server.next_try) return;
  if (ask(server, stop)) {
    server.pause = milliseconds(0);
    server.told.clear();
    std::string& run_id = server.sight.run_id;
    if (run_id.empty()) run_id = "untold " + std::to_string(++untold_);
    return;
  }
  server.connection.reset();
  server.pause = std::clamp(server.pause * 2, milliseconds(limits_.pause_first_ms),
                            milliseconds(limits_.pause_most_ms));
  server.next_try = now + server.pause;
}

// False: the connection is of no use any more.
bool RestartWatch::keep(Server& server) const {
  return server.connection->owed() > 0 ? hear_of_evictions(server) : ask_for_evictions(server);
}

bool RestartWatch::ask_for_evictions(Server& server) const {
  if (server.connection->has_ended()) return false;
  const auto now = steady_clock::now();
  if (!server.sight.evicted_keys || now < server.next_question) return true;
  server.next_question = now + limits_.silence;
  return server.connection->send(questions()).ok();
}

bool RestartWatch::hear_of_evictions(Server& server) const {
  const auto now = steady_clock::now();
  if (!server.connection->answer_waits()) return now < server.next_question;
  auto told = server.connection->receive_late(limits_.answer_ms);
  if (!told) return false;
  server.next_question = now + milliseconds(limits_.evictions_ms);
  follow(server, lineage_in(text_of(told->back())));
  const auto evicted = evicted_keys_in(text_of(told->front()));
  if (evicted && evicted != server.sight.evicted_keys) {
    server.sight.evicted_keys = evicted;
    server.told.clear();
  }
  return true;
}

// From one answer of the same process to the next.
void RestartWatch::follow(Server& server, Lineage now) {
  if (took_over(server.lineage, now)) {
    ++server.sight.takeovers;
    server.told.clear();
  }
  if (!now.id.empty()) server.lineage = std::move(now);
}

Status RestartWatch::ask(Server& server, const std::stop_token& stop) const {
  auto opened = RedisConnection::open(server.address, limits_.answer_ms, stop);
  if (!opened) return opened.error();
  server.connection.emplace(std::move(*opened));
  server.connection->keep_alive(limits_.silence);
  const auto [stats, replication] = questions();
  const std::array<RedisCommand, 3> first{RedisCommand{"INFO", "server"}, stats, replication};
  auto told = server.connection->call_all(first);
  if (!told) return told.error();
  const RedisReply& who = told->front();
  // That says nothing of who it is.
  if (who.is_error() && (server.tells || !forbids_info(who.text))) {
    return Error{Errc::Unavailable, "ask endpoint '" + server.address.id + "'", who.text};
  }
  std::string run_id = run_id_in(text_of(who));
  if (run_id != server.sight.run_id) server.lineage = {};
  server.tells = server.tells || !run_id.empty();
  server.sight.run_id = std::move(run_id);
  server.sight.evicted_keys =
      server.sight.run_id.empty() ? std::nullopt : evicted_keys_in(text_of((*told)[1]));
  follow(server, lineage_in(text_of(told->back())));
  server.next_question = steady_clock::now() + milliseconds(limits_.evictions_ms);
  return success();
}

}  // namespace crossfade
