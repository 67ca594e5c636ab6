// Notices when a server of a dual write starts again, evicts keys, or takes another server's data
// for its own: what it had not kept is missing there, and no write of ours has failed.
//
// One connection per server is kept; when it ends, the next one asks for the server's run id. In
// between only evicted keys and replication are asked for, and nobody waits for the answer: a
// server that stands still is asked nothing more, and holds up no look at the others. One that
// never tells its run id (INFO is forbidden) is asked nothing at all, and is taken for another one
// whenever the connection has ended. One that does not tell it now (too many clients, loading,
// another password) is asked again later.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

#include "movement/redis_connection.h"
#include "movement/redis_line.h"
#include "strategies/ports.h"

namespace crossfade {

struct WatchLimits {
  std::uint32_t look_ms = 100;         // between two looks at all connections
  std::uint32_t answer_ms = 1'000;     // connecting, logging in, and the answer: each
  std::uint32_t evictions_ms = 1'000;  // between two questions for evicted keys
  std::uint32_t pause_first_ms = 100;  // before another attempt, doubled with each in vain, up to
  std::uint32_t pause_most_ms = 2'000;
  std::chrono::seconds silence{20};  // after which a server that is gone without a word is
};

class RestartWatch {
 public:
  explicit RestartWatch(WatchDoors doors, WatchLimits limits = {});
  ~RestartWatch() { stop(); }
  RestartWatch(const RestartWatch&) = delete;
  RestartWatch& operator=(const RestartWatch&) = delete;

  void start();
  // Returns when the thread has ended: within a second, unless a door, or the system's resolver,
  // takes longer.
  void stop();

 private:
  struct Server {
    EndpointAddress address;
    std::optional<RedisConnection> connection;
    ServerSight sight{};  // of what answers there; valid while there is a connection
    bool tells = false;   // its run id, or has told it before
    Lineage lineage{};
    std::set<std::string> told{};  // the migrations that know it
    Deadline next_try{};
    Deadline next_question{};  // for evicted keys; while an answer is owed: that is given up then
    std::chrono::milliseconds pause{0};
  };

  void run(const std::stop_token& stop);
  void look(const std::stop_token& stop);
  void find_out(Server& server, const std::stop_token& stop);
  bool keep(Server& server) const;
  bool ask_for_evictions(Server& server) const;
  bool hear_of_evictions(Server& server) const;
  static void follow(Server& server, Lineage now);
  Status ask(Server& server, const std::stop_token& stop) const;

  const WatchDoors doors_;
  const WatchLimits limits_;
  std::list<Server> servers_;  // the thread's
  std::uint64_t untold_ = 0;   // connections to servers that do not tell their run id
  std::jthread thread_;
};

}  // namespace crossfade
