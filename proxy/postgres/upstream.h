// One connection of a session to a server: connects, remembers what the server owes, and cuts what
// it sends into messages.
//
//   open()    the login is the client's: it is handed through, by the session
//   enter()   the login is the upstream's own, and nothing of it reaches the session but its end
//
// It does not know clients or plans: what it finds it hands to its session.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "protocols/postgres/message.h"
#include "protocols/postgres/owed.h"
#include "proxy/postgres/holdings.h"
#include "proxy/postgres/server_reach.h"
#include "proxy/postgres/upstream_login.h"
#include "proxy/stream.h"
#include "strategies/table.h"

namespace crossfade::postgres {

class PostgresSession;

// Settings that servers have defaults for, which a client has been told: it relies on them.
inline constexpr std::string_view kKeptSettings[] = {
    "client_encoding", "DateStyle", "IntervalStyle", "standard_conforming_strings", "TimeZone"};

// Where a message of a server goes.
enum class Goes : std::uint8_t {
  Client,
  Kept,      // until it is known whether a trial succeeds
  Held,      // until a unit that is run on both sides has committed
  Compared,  // the other side's is the client's
  Nowhere
};

class Upstream final : public ReachOwner {
 public:
  enum class State : std::uint8_t {
    Idle,
    Connecting,  // and what comes before a start-up packet: asking for TLS, shaking hands
    Entering,    // its own login is under way
    Open
  };

  Upstream(PostgresSession& session, Loop& loop);

  Side side() const { return side_; }
  State state() const { return state_; }
  bool asked() const { return reach_.asked(); }  // whether for TLS, while connecting
  crossfade::Stream& stream() { return stream_; }
  OwedReplies& owed() { return owed_; }
  const OwedReplies& owed() const { return owed_; }
  const EndpointAddress& address() const { return *route_->at(side_); }
  const sockaddr_storage& peer() const { return reach_.peer(); }

  // Begins to connect. False: refused at once.
  bool open(Side side, InterlayRoutePtr route, std::uint64_t now_ns,
            ServerReach::Ask ask = ServerReach::Ask::AsConfigured);
  // Likewise, and logs in there. One of session's on_entered() and on_not_entered() follows, later.
  //   FromOk   the session gets AuthenticationOk and what follows it, as if it had handed the login
  //            through: on_entered() is not called then. So it does a server's error, but for those
  //            about the login itself, which is not the client's
  enum class Shown : std::uint8_t { Nothing, FromOk };
  bool enter(Side side, InterlayRoutePtr route, Entry entry, Shown shown, std::uint64_t now_ns);
  void close();
  // The same server is another side's now, in that route.
  void be(Side side, InterlayRoutePtr route);
  // The server was not reached in time at this address: true when another one is tried, which has
  // as long.
  bool try_next_address(std::uint64_t now_ns);
  bool at_last_address() const { return at_last_address_; }  // as far as was tried

  // As stream().write(), and may be called before the server is reached: it goes out then.
  void write(std::string_view bytes);
  // Likewise: the server sees the end of our bytes behind them.
  void finish();

  // The server's messages are of another phase from the next one on.
  void logged_in() { cutter_.continue_as(Stream::Server); }
  // What is awaited whole was not handed on yet.
  bool at_boundary() const { return cutter_.at_boundary(); }

  // kKeptSettings as the server reports them, from its login on; the newest value of each.
  std::map<std::string, std::string, std::less<>> parameters;

  // What a CancelRequest for this connection needs; empty until the server has told.
  std::uint32_t pid = 0;
  std::string secret;

  std::uint64_t opened_at_ns = 0;

  // What the session has there.
  Holdings holds;
  // Where the pieces of the message that is passing by go.
  Goes passing = Goes::Client;
  // The client's message that it answers; 0: none.
  std::uint64_t passing_id = 0;

 private:
  void on_bytes(std::string_view bytes) override;
  void on_end(int status) override;
  void on_deaf(int status) override;
  void on_room() override;
  ServerReach& reach() override { return reach_; }
  void on_reached(const char* why) override;
  void begin_login();
  LoginWire login_wire() const;
  void on_login(const Piece& piece);
  bool hand_over(const Piece& piece);
  void lost(const char* reason);
  void not_entered(const std::string& why);
  void note_key(const Piece& piece);
  void note_setting(const Piece& piece);
  std::size_t take(std::string_view bytes);
  std::size_t take_many(std::string_view bytes);

  bool reads() const { return state_ == State::Entering || state_ == State::Open; }

  PostgresSession& session_;
  Loop& loop_;
  crossfade::Stream stream_;
  ServerReach reach_;
  MessageCutter cutter_{Stream::ServerLogin};
  OwedReplies owed_;
  InterlayRoutePtr route_;
  std::unique_ptr<UpstreamLogin> login_;  // of enter(), until it is over
  std::string early_;                     // what waits for the server to be reached
  bool ends_early_ = false;
  bool at_last_address_ = false;
  std::string tail_;        // of a message that is awaited whole
  std::size_t wanted_ = 0;  // bytes of it, for the next look
  State state_ = State::Idle;
  Side side_ = Side::Old;
  Shown shown_ = Shown::Nothing;  // of enter()
};

}  // namespace crossfade::postgres
