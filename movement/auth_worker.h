// Looks users up at servers, by the auth queries of interlays, on a thread of its own.
//
// Answers are used again for as long as their query says. A connection is kept while there is
// something to ask, and a second longer; a server that could not be asked is left alone for a
// second. Sessions of it run under a pinned search_path, so that nobody slips a table of his own in
// front of the server's.
//
// Knows nothing of SCRAM but that verifiers are secrets: none is in any text.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>

#include "movement/postgres_connection.h"
#include "strategies/ports.h"

namespace crossfade {

struct AuthLimits {
  std::size_t waiting_max = 4096;   // lookups; more fail at once
  std::size_t cached_max = 4096;    // answers; then all are forgotten
  std::uint32_t answer_ms = 3'000;  // connecting, logging in, and the answer: together
};

class AuthWorker {
 public:
  explicit AuthWorker(AuthLimits limits = {}) : limits_(limits) {}
  ~AuthWorker() { stop(); }
  AuthWorker(const AuthWorker&) = delete;
  AuthWorker& operator=(const AuthWorker&) = delete;

  void start();
  // What still waits is answered with Failed. Whatever `done` reaches must outlive this call.
  void stop();

  AuthDoor door();

 private:
  using Clock = std::chrono::steady_clock;
  struct Job {
    EndpointAddress at;
    AuthQuery query;
    std::string user;
    std::function<void(AuthLookup)> done;
  };
  struct Cached {
    AuthLookup answer;
    Clock::time_point until;
  };
  struct Server {
    EndpointAddress address = {};
    std::optional<PostgresConnection> connection = {};
    Clock::time_point left_until{};
    std::string why = {};  // it is left alone
    Errc errc = Errc::Unavailable;
  };
  using Key = std::tuple<std::string, std::string, std::string,
                         std::string>;  // endpoint, who asks what, for whom

  void offer(Job job);
  void run(const std::stop_token& stop);
  std::optional<Job> next(const std::stop_token& stop);
  AuthLookup look_up(const Job& job, const std::stop_token& stop);
  AuthLookup ask_server(const Job& job, const std::stop_token& stop);
  Server& server_of(const EndpointAddress& address);

  const AuthLimits limits_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Job> waiting_;  // guarded by mutex_
  bool stopped_ = false;     // guarded by mutex_
  // Below: the thread's own.
  std::map<Key, Cached> cached_;
  std::map<std::string, Server> servers_;  // by endpoint id and who asks
  std::jthread thread_;
};

}  // namespace crossfade
