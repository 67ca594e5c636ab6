// One CancelRequest on its way to a server: a connection of its own, which the server closes once
// it has signalled the backend.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/connector.h"
#include "proxy/stream.h"

namespace crossfade::postgres {

class PostgresSession;

class Canceller final : public StreamOwner {
 public:
  Canceller(PostgresSession& session, Loop& loop, std::uint64_t now_ns);

  // To the very server that the backend belongs to. False: the system refuses at once.
  bool start(const sockaddr_storage& peer, std::uint32_t pid, std::string_view secret);
  std::uint64_t began_at_ns() const { return began_at_ns_; }

 private:
  void on_bytes(std::string_view) override {}  // nothing is answered to it
  void on_end(int status) override;
  void on_room() override {}
  static void connected(StreamOwner& owner, int status);

  PostgresSession& session_;
  crossfade::Stream stream_;
  Connector connector_;
  const std::uint64_t began_at_ns_;
};

}  // namespace crossfade::postgres
