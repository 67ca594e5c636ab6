// What comes before a session: which packets open the connection, whether TLS is spoken, and the
// way to the home side.
#include <memory>
#include <utility>
#include <variant>

#include "protocols/postgres/backend.h"
#include "proxy/clock.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"
#include "tls/context.h"

namespace crossfade::postgres {

namespace {
constexpr Version kGssEncCode{1234, 5680};     // as if it was a version: what servers say
constexpr std::string_view kNotGranted = "N";  // to SSLRequest and GSSENCRequest
constexpr std::string_view kGranted = "S";     // to SSLRequest
}  // namespace

std::size_t PostgresSession::take_opening(std::string_view bytes) {
  const Opening opening = read_opening(bytes, client_.tls() ? Wire::Tls : Wire::Plain);
  const std::string_view packet = bytes.substr(0, opening.size);
  if (const auto* more = std::get_if<NeedMore>(&opening.kind)) {
    wanted_ = bytes.size() + more->at_least;
    return 0;
  }
  if (const auto* start = std::get_if<StartUp>(&opening.kind)) {
    take_start_up(*start, packet);
  } else if (const auto* cancel = std::get_if<CancelRequest>(&opening.kind)) {
    start_cancel(*cancel, packet);
  } else if (std::holds_alternative<DirectTls>(opening.kind) && serves_tls()) {
    secure_client(Handshakes::Directly, bytes);
    return bytes.size();
  } else if (std::holds_alternative<SslRequest>(opening.kind) && greeted_ != Greeting::Tls) {
    return take_ssl_request(opening.size, bytes);
  } else if (std::holds_alternative<GssEncRequest>(opening.kind)) {
    take_gss_request();
  } else if (opening.size > 0) {  // a version nobody speaks, a bad layout: in the server's words
    counters().protocol_errors.add();
    start_up(packet, Phase::Raw);
  } else {  // no server answers that
    counters().protocol_errors.add();
    close_client();
    return bytes.size();
  }
  return opening.size;
}

// Never granted. Who asks twice hears what a server that does not know GSSAPI says.
void PostgresSession::take_gss_request() {
  if (greeted_ != Greeting::Gss && !client_.tls()) {
    greeted_ = Greeting::Gss;
    return client_.write_copy(kNotGranted);
  }
  counters().protocol_errors.add();
  say_unsupported(kGssEncCode);
}

void PostgresSession::say_unsupported(Version version) {
  std::string text;
  append_unsupported(text, version);
  client_.write_copy(text);
  close_client();
}

void PostgresSession::take_start_up(const StartUp& start, std::string_view packet) {
  const PortTls& tls = newest_route()->tls;
  if (tls && tls.settings.refuses_plain() && !client_.tls()) {
    counters().refused(LoginRefused::Plain);
    return say_and_close("28000", "crossfade: this port takes connections over TLS only");
  }
  remember_start_up(start);
  if (newest_route()->login.mode != LoginMode::PassThrough) return prove(start);
  start_up(packet, Phase::Login);
}

// --- TLS with the client

bool PostgresSession::serves_tls() const { return static_cast<bool>(newest_route()->tls); }

// What a client sends behind its request, before that is answered, may be somebody else's
// (CVE-2021-23222).
std::size_t PostgresSession::take_ssl_request(std::size_t size, std::string_view bytes) {
  greeted_ = Greeting::Tls;
  if (!serves_tls() || client_.tls()) {
    client_.write_copy(kNotGranted);
    return size;
  }
  if (bytes.size() > size) {
    counters().protocol_errors.add();
    std::string text;
    append_error(text, {"FATAL", "08P01", "received unencrypted data after SSL request",
                        "This could be either a client-software bug or evidence of an attempted "
                        "man-in-the-middle attack."});
    client_.write_copy(text);
    close_client();
    return bytes.size();
  }
  client_.write_copy(kGranted);
  client_.flush();
  secure_client(Handshakes::Asked, {});
  return size;
}

// No server is troubled for a client before it has proved to speak TLS.
void PostgresSession::secure_client(Handshakes how, std::string_view received) {
  auto handle = newest_route()->tls.end->begin(kAlpn);
  if (!handle) {
    counters().ended(Handshake::Failed, Peer::Client);
    return close_client();
  }
  handshakes_ = how;
  greeted_ = Greeting::Tls;
  secured_at_ns_ = now_ns_;
  const auto secured = [](StreamOwner& owner, int status) {
    static_cast<PostgresSession&>(owner).on_secured(status);
  };
  auto engine = std::make_unique<TlsEngine>(std::move(*handle), TlsEngine::Role::Server);
  if (!client_.secure(std::move(engine), secured, received)) {
    interlay_.handshake_ended(Peer::Client, client_, UV_EPROTO);
    client_.close();
  }
}

// Who begins with TLS must say what for, as servers have it: another protocol's client, sent here
// by somebody else, would not (CVE-2021-23214 and its kind).
void PostgresSession::on_secured(int status) {
  begin_event();
  interlay_.handshake_ended(Peer::Client, client_, status);
  if (status != 0 || (handshakes_ == Handshakes::Directly && client_.tls()->alpn() != kAlpn)) {
    client_.close();
  } else {
    secure_ = true;
    counters().tls_sessions_open.add();
  }
  end_event();
}

void PostgresSession::check_handshake() {
  const std::uint64_t limit_ns = settings().handshake_timeout_ms * kNsPerMs;
  if (!client_.securing() || limit_ns == 0 || now_ns_ <= secured_at_ns_ + limit_ns) return;
  counters().hit(Limit::HandshakeTimeout);
  interlay_.handshake_late(Peer::Client);
  client_.close();
}

// --- the way to the home side

// The packet goes to the home side as it is. A client that asks for TLS twice is told off by a
// server that has been asked once already.
void PostgresSession::start_up(std::string_view packet, Phase next) {
  const bool again = next == Phase::Raw && greeted_ == Greeting::Tls;
  phase_ = next;
  if (!reach_home(again ? ServerReach::Ask::Always : ServerReach::Ask::AsConfigured)) return;
  if (next == Phase::Login) server().owed().sent_start_up(Mark::Forward);
  server().write(packet);
  counters().server_out.add(packet.size());
}

// What another server is to be entered with, and which side of a split the session is on.
void PostgresSession::remember_start_up(const StartUp& asked) {
  start_up_ = asked.parameters;
  replication_ = find_parameter(start_up_, "replication").has_value();
  const auto user = find_parameter(start_up_, "user").value_or("");
  login_.user = user.substr(0, kUserMax);
  database_ = find_parameter(start_up_, "database").value_or(user);
  bucket_ = bucket_of(std::string(user) + '\0' + database_ + '\0' + client_.peer_name());
}

// False: it is known to be down, and the client has been told that.
bool PostgresSession::reach_home(ServerReach::Ask ask) {
  const Side side = newest_route()->home_side();
  current_ = side;
  if (interlay_.try_now(side, Interlay::Use::Needed, now_ns_) &&
      server().open(side, newest_route(), now_ns_, ask)) {
    loop().mark_busy(*this);
    return true;
  }
  if (phase_ == Phase::Cancelling) {
    close_client();  // nothing is ever said to a cancel
  } else {
    if (phase_ == Phase::Login) counters().refused(LoginRefused::Unreachable);
    say_and_close("08006", unreachable(side));
  }
  return false;
}

std::string PostgresSession::unreachable(Side side) const {
  return "crossfade: " + std::string(name_of(side)) + " endpoint '" + newest_route()->at(side)->id +
         "' is unreachable, try again";
}

void PostgresSession::on_handshake(Upstream& up, int status) {
  interlay_.handshake_ended(peer_at(up.side()), up.stream(), status);
}

}  // namespace crossfade::postgres
