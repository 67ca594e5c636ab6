// One connection of a session to a server: connects, remembers what the server owes, and cuts what
// it sends into messages.
//
// It does not know clients or plans: what it finds it hands to its session.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocols/postgres/message.h"
#include "protocols/postgres/owed.h"
#include "proxy/connector.h"
#include "proxy/stream.h"
#include "strategies/table.h"

namespace crossfade::postgres {

class PostgresSession;

class Upstream final : public StreamOwner {
 public:
  enum class State : std::uint8_t { Idle, Connecting, Open };

  Upstream(PostgresSession& session, Loop& loop);

  Side side() const { return side_; }
  State state() const { return state_; }
  crossfade::Stream& stream() { return stream_; }
  OwedReplies& owed() { return owed_; }
  const OwedReplies& owed() const { return owed_; }
  const EndpointAddress& address() const { return *route_->at(side_); }
  const sockaddr_storage& peer() const { return connector_.peer(); }

  // Begins to connect; what is written meanwhile goes out when connected. False: refused at once.
  bool open(Side side, InterlayRoutePtr route, std::uint64_t now_ns);
  void close();

  // The server's messages are of another phase from the next one on.
  void logged_in() { cutter_.continue_as(Stream::Server); }
  bool at_boundary() const { return cutter_.at_boundary() && tail_.empty(); }

  // What a CancelRequest for this connection needs; empty until the server has told.
  std::uint32_t pid = 0;
  std::string secret;

  std::uint64_t opened_at_ns = 0;

 private:
  void on_bytes(std::string_view bytes) override;
  void on_end(int status) override;
  void on_deaf(int status) override;
  void on_room() override;
  static void connected(StreamOwner& owner, int status);
  std::size_t take(std::string_view bytes);
  std::size_t take_rows(char type, std::string_view bytes);

  PostgresSession& session_;
  crossfade::Stream stream_;
  Connector connector_;
  MessageCutter cutter_{Stream::ServerLogin};
  OwedReplies owed_;
  InterlayRoutePtr route_;
  std::string tail_;        // of a message that is awaited whole
  std::size_t wanted_ = 0;  // bytes of it, for the next look
  State state_ = State::Idle;
  Side side_ = Side::Old;
};

}  // namespace crossfade::postgres
