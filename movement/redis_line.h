// A connection to one endpoint that is kept, made again when it is lost, and left alone for a while
// when the server cannot be reached.
//
// A write of its own whose outcome stayed unknown may still run there, and undo what came later.
// Such a line is of no use until that write is over: its connection ended at the server, or its
// answer there. One thread's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "movement/redis_connection.h"

namespace crossfade {

// The id of a server's process, in what it says to INFO server; empty where it does not tell.
std::string run_id_in(std::string_view info);

// How many keys it has evicted, in what it says to INFO stats; nullopt where it does not tell.
std::optional<std::uint64_t> evicted_keys_in(std::string_view info);

// Whose writes a server's data comes from, as it says to INFO replication.
struct Lineage {
  std::string id = {};         // master_replid; empty: it did not tell
  std::string former_id = {};  // master_replid2: what it was called before it was promoted
  bool replica = false;

  bool operator==(const Lineage&) const = default;
};
Lineage lineage_in(std::string_view info);
// Whether it has dropped its own data for another server's since. A replica that is promoted, or
// goes on where it was, keeps its former id; a master that has had no replicas for long takes a new
// one, and has no former.
//   source  Redis documentation, "Replication", "Replication ID explained"
bool took_over(const Lineage& before, const Lineage& now);

class RedisLine {
 public:
  // `answer_ms`: the limit of connecting, of each login step, and of each later call.
  RedisLine(EndpointAddress address, std::uint32_t answer_ms, std::stop_token stop);

  // Sees to it that there is a connection, alive a moment ago, on database `db` (kDefaultDb: the
  // endpoint's own), and that no write of this line is still under way.
  //   errors  Unavailable, BadConfig: not now; the same at once until the pause is over, which
  //   doubles
  //           with each failure
  Status ready(std::int32_t db);

  // Only when ready() said so, and until a call on it fails.
  RedisConnection& connection() { return *connection_; }
  const EndpointAddress& address() const { return address_; }
  // Where it leads is the same, but not as whom it enters, or which database is its own.
  void readdress(const EndpointAddress& address);

  // Of a connection that is ready: changes its database.
  Status select(std::int32_t db);

  // A call on it failed. `writing`: it was, or may have been, one that changes data.
  enum class Under : std::uint8_t { Reading, Writing };
  void give_up(Under under);
  // Nothing is to be done just now: the server gets its connection back.
  void hang_up() { connection_.reset(); }
  // A write of its own may still be under way.
  bool owes() const { return owing_.has_value(); }

  // PEXPIRETIME is known there (Redis 7).
  bool tells_expiry = true;

 private:
  // What was given up while writing.
  struct Owing {
    RedisConnection connection;  // kept: its late answer, or its end, is a proof, too
    std::int64_t id;             // 0: the server did not tell
    std::string run_id;          // of the server's process; empty: it did not tell
  };

  Status make_ready();
  Status open();
  Status check_alive();
  Status settle_owing();
  Result<bool> is_over(Owing& owing);

  EndpointAddress address_;
  std::uint32_t answer_ms_;
  std::stop_token stop_;
  std::optional<RedisConnection> connection_;
  std::int64_t id_ = 0;
  std::string run_id_;
  std::uint32_t selected_ = 0;
  Deadline alive_at_{};
  std::optional<Owing> owing_;  // while there is one, nothing else is asked for
  Deadline pause_until_{};
  std::chrono::milliseconds pause_{0};
  Error reason_;
};

}  // namespace crossfade
