// One interlay on one loop: its listening socket, its sessions, what they share, the route in
// force.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "protocols/postgres/sql_classify.h"
#include "proxy/counters.h"
#include "proxy/known_suspects.h"
#include "proxy/shared_writes.h"
#include "proxy/side_health.h"
#include "proxy/uv_owner.h"
#include "strategies/api_names.h"
#include "strategies/table.h"

namespace crossfade {

class Loop;
class Session;
class Stream;

// Connections that wait to be accepted, on each of an interlay's sockets.
inline constexpr int kBacklog = 1024;

class Interlay {
 public:
  // What one interlay counts on one loop.
  struct Counted {
    std::shared_ptr<InterlayCounters> all;
    ApiCounters apis;  // by the numbers that the route's templates give them
  };
  Interlay(Loop& loop, InterlayRoutePtr route, Counted counted);
  ~Interlay();
  Interlay(const Interlay&) = delete;
  Interlay& operator=(const Interlay&) = delete;

  const std::string& id() const { return route_->id; }
  Loop& loop() { return loop_; }
  InterlayCounters& counters() { return *counters_; }
  // A request of that api, by the numbers of the table that it was planned by.
  void count_api(const ApiNames& names, std::uint32_t api, Side side);
  // The newest; sessions ask for route_of(), as it is not the same for all clients.
  const InterlayRoutePtr& route() const { return route_; }
  const InterlayRoutePtr& route_of(const Session& session) const;
  // Once it is known where its client is.
  void place(Session& session) const;
  void set_route(InterlayRoutePtr route, ApiCounters apis);
  // Null where there is one side only.
  const std::shared_ptr<SharedWrites>& shared_writes() const { return shared_writes_; }

  // Of PostgreSQL: reads SQL by the catalog of the route in force, or, in a database that this is
  // not of, by what is PostgreSQL's own.
  postgres::SqlClassifier& classifier(std::string_view database);
  // Counts what they have read since the last time.
  void count_texts();

  // Keys of its writes that the ledger is known to have, while one side is down.
  KnownSuspects& known_suspects() { return known_suspects_; }

  // What a leg means to the client decides what keeps it from being tried.
  enum class Use : std::uint8_t {
    Needed,      // nobody else can answer
    Urgent,      // what frees a busy server is sent to one that answers nothing else, too
    Dispensable  // second legs, reads with a fall-back: a slow or garbling server is left alone too
  };
  bool try_now(Side side, Use use, std::uint64_t now_ns) {
    return health_[index(side)].connect.try_now(now_ns) &&
           (use != Use::Dispensable || health_[index(side)].answer.try_now(now_ns));
  }
  // Whether something is known to be wrong with it, so that no client should wait for its answer.
  bool down(Side side) const { return health_[index(side)].down(); }
  // A side that let an authoritative request wait for its whole time limit: nothing is sent there
  // until a probe of ours is answered. probe_now() is true once per back-off.
  bool stalled(Side side) const { return health_[index(side)].stall.down(); }
  bool probe_now(Side side, std::uint64_t now_ns) {
    return health_[index(side)].stall.try_now(now_ns);
  }

  // Records the outcome of talking to a side and keeps the `down` gauge in step.
  enum class Failure : std::uint8_t {
    Connect,  // refused: over when a connection is accepted
    Answer,   // a dispensable leg was late, or garbled, or never answered: over with a reply
    Stall     // an authoritative answer was late: over with a reply
  };
  void failed(Side side, Failure failure, std::uint64_t now_ns);
  void connect_succeeded(Side side);
  void answer_succeeded(Side side, std::uint64_t now_ns) {
    answered_at_ns_[index(side)] = now_ns;
    if (health_[index(side)].down()) heard_again(side);
  }
  // Counts a TLS handshake that has ended with that status, as Stream tells it, and says why a
  // server's failed.
  void handshake_ended(Peer peer, const Stream& stream, int status);
  void handshake_late(Peer peer) { counters_->ended(Handshake::Timeout, peer); }

  // When a session last had a reply from there. One that gets none while others do is alone with
  // that.
  std::uint64_t answered_at_ns(Side side) const { return answered_at_ns_[index(side)]; }

  // Whether this side lets clients in that have not logged in, as far as it was seen. Only used
  // while it cannot be asked.
  bool open_door(Side side) const { return open_door_[index(side)]; }
  void set_open_door(Side side, bool open) { open_door_[index(side)] = open; }

  // Second legs in flight, and bytes that each side has not taken yet, over all sessions of this
  // loop: second_inflight_max, _bytes_max.
  std::uint32_t second_inflight = 0;
  std::array<std::uint64_t, kSides> unsent{};

  // Takes over a listening socket.
  bool listen(int fd);
  void close_listener() { listener_.reset(); }
  // Ends every session at its next safe point, then calls done (on this loop), at once if there are
  // none.
  void drain(std::function<void()> done);
  void abort();

  void join(Session& session);
  void leave(Session& session);
  bool draining() const { return draining_; }

 private:
  struct Health {
    SideHealth connect;
    SideHealth answer;
    SideHealth stall;
    Health();
    bool down() const { return connect.down() || answer.down() || stall.down(); }
  };
  static constexpr std::size_t index(Side side) { return static_cast<std::size_t>(side); }
  void on_connection();
  void heard_again(Side side);
  void forget(Side side);
  void share_writes();
  void show(Side side, bool was_down);

  Loop& loop_;
  InterlayRoutePtr route_;
  std::shared_ptr<InterlayCounters> counters_;
  ApiCounters api_counters_;  // of route_
  std::shared_ptr<SharedWrites> shared_writes_;
  KnownSuspects known_suspects_;
  // Made when they are first asked for.
  std::unique_ptr<postgres::SqlClassifier> classifier_;           // by the route's catalog
  std::unique_ptr<postgres::SqlClassifier> built_in_classifier_;  // by PostgreSQL's own
  std::array<Health, kSides> health_;
  UvOwner<uv_tcp_t> listener_;
  Session* sessions_ = nullptr;
  std::array<std::uint64_t, kSides> answered_at_ns_{};
  std::array<bool, kSides> open_door_{};
  bool draining_ = false;
  std::function<void()> drained_;
};

}  // namespace crossfade
