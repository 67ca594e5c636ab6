// One CancelRequest on its way to a server: a connection of its own, which the server closes once
// it has signalled the backend.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/postgres/server_reach.h"
#include "proxy/stream.h"

namespace crossfade::postgres {

class PostgresSession;

class Canceller final : public ReachOwner {
 public:
  Canceller(PostgresSession& session, Loop& loop, EndpointAddress to, std::uint64_t now_ns);

  // To the very server that the backend belongs to, with TLS where its session would have it.
  // False: the system refuses at once.
  bool start(const sockaddr_storage& at, std::uint32_t pid, std::string_view secret);
  std::uint64_t began_at_ns() const { return began_at_ns_; }
  const EndpointAddress& to() const { return to_; }

 private:
  void on_bytes(std::string_view bytes) override;
  void on_end(int status) override;
  void on_room() override {}
  ServerReach& reach() override { return reach_; }
  void on_reached(const char* why) override;

  PostgresSession& session_;
  crossfade::Stream stream_;
  ServerReach reach_;
  const EndpointAddress to_;
  std::string packet_;
  const std::uint64_t began_at_ns_;
};

}  // namespace crossfade::postgres
