// Sent, and then waited for the end.
#include "proxy/postgres/canceller.h"

#include <string>

#include "protocols/postgres/startup.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

Canceller::Canceller(PostgresSession& session, Loop& loop, std::uint64_t now_ns)
    : session_(session),
      stream_(loop, *this),
      connector_(loop, stream_, *this),
      began_at_ns_(now_ns) {}

bool Canceller::start(const sockaddr_storage& peer, std::uint32_t pid, std::string_view secret) {
  if (!connector_.start(peer, connected)) return false;
  std::string packet;
  append_cancel_request(packet, pid, secret);
  stream_.write_copy(packet);
  return true;
}

void Canceller::connected(StreamOwner& owner, int status) {
  auto& self = static_cast<Canceller&>(owner);
  if (status != 0) return self.session_.on_cancelled(self);
  self.stream_.read_start();
}

void Canceller::on_end(int) { session_.on_cancelled(*this); }

}  // namespace crossfade::postgres
