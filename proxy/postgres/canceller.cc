// Sent, and then waited for the end.
#include "proxy/postgres/canceller.h"

#include <string>
#include <utility>

#include "protocols/postgres/startup.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

Canceller::Canceller(PostgresSession& session, Loop& loop, EndpointAddress to, std::uint64_t now_ns)
    : session_(session),
      stream_(loop, *this),
      reach_(loop, stream_, *this),
      to_(std::move(to)),
      began_at_ns_(now_ns) {}

bool Canceller::start(const sockaddr_storage& at, std::uint32_t pid, std::string_view secret) {
  append_cancel_request(packet_, pid, secret);
  return reach_.start(to_, at);
}

void Canceller::on_reached(const char* why) {
  if (why != nullptr) return session_.on_cancelled(*this);
  stream_.write_copy(packet_);
  stream_.flush();
  stream_.read_start();
}

// Nothing is answered to the request itself.
void Canceller::on_bytes(std::string_view bytes) {
  if (!reach_.done()) reach_.on_bytes(bytes);
}

void Canceller::on_end(int status) {
  if (!reach_.done()) return reach_.on_end(status);
  session_.on_cancelled(*this);
}

}  // namespace crossfade::postgres
