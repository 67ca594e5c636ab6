// Handshakes: with the client before anything else, and what becomes of those with servers.
#include <utility>

#include "proxy/clock.h"
#include "proxy/loop.h"
#include "proxy/redis/session.h"
#include "tls/context.h"

namespace crossfade::redis {

namespace {}  // namespace

// No server is troubled for a client before it has proved to speak TLS.
bool RedisSession::secure_client() {
  auto handle = route_->tls.end->begin();
  if (!handle) {
    counters().ended(Handshake::Failed, Peer::Client);
    return false;
  }
  accepted_at_ns_ = now_ns_;
  const bool begun = client_.secure(
      std::make_unique<TlsEngine>(std::move(*handle), TlsEngine::Role::Server),
      [](StreamOwner& owner, int status) { static_cast<RedisSession&>(owner).on_secured(status); });
  if (begun) loop().mark_busy(*this);
  return begun;
}

void RedisSession::on_secured(int status) {
  begin_event();
  interlay_.handshake_ended(Peer::Client, client_, status);
  if (status != 0) return abort();
  secured_ = true;
  counters().tls_sessions_open.add();
  enter();
}

bool RedisSession::await_handshake() {
  const std::uint64_t limit_ns = settings().handshake_timeout_ms * kNsPerMs;
  if (limit_ns == 0 || now_ns_ < accepted_at_ns_ + limit_ns) return true;
  counters().hit(Limit::HandshakeTimeout);
  interlay_.handshake_late(Peer::Client);
  abort();
  return false;
}

void RedisSession::on_handshake(Upstream& up, int status) {
  interlay_.handshake_ended(peer_at(up.side()), up.stream(), status);
}

}  // namespace crossfade::redis
