// One private connection of a session to one side: connects, keeps the queue of exchanges that the
// server still owes replies to, and cuts what the server sends into those replies and pushes.
//
// It does not know clients or plans: what it finds it hands to its session.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/redis/reply.h"
#include "proxy/redis/connection_state.h"
#include "proxy/redis/exchange.h"
#include "proxy/stream.h"
#include "strategies/ports.h"
#include "strategies/table.h"

namespace crossfade::redis {

inline constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";

class RedisSession;

class Upstream final : public StreamOwner {
 public:
  enum class State : std::uint8_t { Idle, Connecting, Ready };

  Upstream(RedisSession& session, Loop& loop, Side side);
  ~Upstream();

  Side side() const { return side_; }
  State state() const { return state_; }
  Stream& stream() { return stream_; }
  OwedQueue& owed() { return owed_; }
  // Bytes that the server has not taken yet, or must not have yet.
  std::size_t unsent() const { return stream_.unsent() + gated_bytes_; }
  bool idle() const { return owed_.empty() && unsent() == 0; }
  // Adds changes of unsent() to *gauge; for limits over many sessions.
  void set_gauge(std::uint64_t* gauge) {
    gauge_ = gauge;
    stream_.set_gauge(gauge);
  }

  // Begins to connect; what is sent meanwhile goes out when connected.
  void open(InterlayRoutePtr route, std::uint64_t now_ns);
  const EndpointAddress& address() const;
  // Why it could not even begin to connect.
  const std::string& refusal() const { return refusal_; }
  // Closes and forgets the connection. The owed queue must have been emptied by the session.
  void close();

  // Sends requests: at once, or, behind changes of state that the server has not confirmed yet, as
  // soon as it has: nothing ever runs in another database or under another login than it was meant
  // for. send() wants views that stay valid until the flush; send_copy() does not.
  void send(std::string_view view) { gates_.empty() ? stream_.write(view) : gate(view); }
  void send_copy(std::string_view bytes) {
    gates_.empty() ? stream_.write_copy(bytes) : gate(bytes);
  }
  // What is sent from now on waits until this gate is opened; its number, for open_gate().
  std::uint32_t close_gate() {
    gates_.push_back({++last_gate_, {}});
    return last_gate_;
  }
  // Lets out `first`, and then what has waited behind the gate; behind the gates before it, if
  // there are any.
  void open_gate(std::uint32_t number, std::string_view first = {});
  // Half-closes after all that was sent; nothing when there is no connection.
  void finish();

  // True when the last bytes received ended a frame.
  bool at_boundary() const { return scanner_.at_boundary(); }

  // True when the last bytes received ended inside of a reply to a request of ours.
  bool inside_reply() const { return !scanner_.at_boundary() && !in_push_; }
  // True when the last reply received was null.
  bool null_reply() const { return scanner_.null(); }

  // Puts the exchange in the owed queue. The bytes are written by the caller.
  void owe(Exchange* exchange) { owed_.push(exchange); }

  // The connection's state as the server has it, and the session's version of it that this equals.
  ConnectionState applied;
  std::uint32_t applied_version = 0;
  // The version that this side has refused to take (unknown user, no such database): not tried
  // again.
  std::uint32_t refused_version = 0;

  // RESP2: arrays may be pub/sub messages. (RESP3 marks them itself.)
  bool expects_messages = false;
  // '+' lines that begin with a digit are MONITOR's.
  bool monitoring = false;

  bool heard = false;        // it has replied since it was opened
  bool unconfirmed = false;  // it was sent requests since then that it will never reply to
  // Who this connection is to its server, once that was asked; id 0: it did not tell.
  ServersClient client;
  bool identified = false;
  std::uint64_t opened_at_ns = 0;
  std::uint64_t progress_at_ns = 0;  // last reply, or when reading resumed

 private:
  void gate(std::string_view bytes) {
    gates_.back().waiting.append(bytes);
    count_gated(bytes.size());
  }
  void count_gated(std::size_t more) {
    gated_bytes_ += more;
    if (gauge_) *gauge_ += more;
  }

  enum class Frame : std::uint8_t { Reply, Push, Hold };

  void on_bytes(std::string_view bytes) override;
  void on_end(int status) override;
  void on_room() override;

  void resolve(std::uint64_t now_ns);
  bool begin_tls(std::unique_ptr<TlsEngine>& tls);
  void connect_next();
  void connected(int status);
  void take(std::string_view bytes);
  Frame classify(std::string_view rest);
  std::size_t take_replies(Exchange& front, std::string_view rest);
  std::size_t take_push(std::string_view rest);
  bool may_be_push(char first) const;

  RedisSession& session_;
  Loop& loop_;
  Stream stream_;
  OwedQueue owed_;
  ReplyScanner scanner_;
  InterlayRoutePtr route_;
  struct Resolving;
  Resolving* resolving_ = nullptr;
  std::vector<sockaddr_storage> addresses_;  // still to try, last one first
  std::string refusal_ = "cannot connect";
  std::string kept_;  // the beginning of a frame that cannot be told apart yet
  State state_ = State::Idle;
  Side side_;
  bool in_push_ = false;   // the frame in progress was not asked for
  bool confirms_ = false;  // the frame in progress is a pub/sub confirmation of the front exchange
  bool broken_ = false;
  bool finish_after_gates_ = false;
  struct Gate {
    std::uint32_t number;
    std::string waiting;
  };
  std::vector<Gate> gates_;  // in the order in which they were closed
  std::uint32_t last_gate_ = 0;
  std::size_t gated_bytes_ = 0;  // in all of them
  std::uint64_t* gauge_ = nullptr;
};

}  // namespace crossfade::redis
