// One step after another, each when the one before has ended.
#include "proxy/postgres/server_reach.h"

#include <cassert>
#include <memory>
#include <utility>

#include "protocols/postgres/startup.h"
#include "proxy/loop.h"
#include "tls/context.h"

namespace crossfade::postgres {

namespace {}  // namespace

bool ServerReach::start(const EndpointAddress& to, Ask ask) {
  to_ = &to;
  ask_ = ask;
  state_ = State::Connecting;
  return connector_.start(to, connected);
}

bool ServerReach::start(const EndpointAddress& to, const sockaddr_storage& at) {
  to_ = &to;
  ask_ = Ask::AsConfigured;
  state_ = State::Connecting;
  return connector_.start(at, connected);
}

void ServerReach::stop() {
  connector_.stop();
  state_ = State::Idle;
}

bool ServerReach::asks() const { return to_->tls || ask_ == Ask::Always; }

// `prefer` is for those who would go without TLS as well: an attacker answers "no".
bool ServerReach::trusted() const {
  return is_loopback(peer()) || (stream_.tls() && to_->tls.settings.mode != TlsMode::Prefer);
}

void ServerReach::connected(StreamOwner& owner, int status) {
  auto& self = static_cast<ReachOwner&>(owner).reach();
  if (self.connector_.goes_on(status)) return;
  if (status != 0) return self.fail(uv_err_name(status));
  self.on_connected();
}

void ServerReach::on_connected() {
  if (!asks()) return end();
  state_ = State::Asked;
  std::string packet;
  append_ssl_request(packet);
  stream_.write_copy(packet);
  stream_.flush();
  stream_.read_start();
}

// What stands behind the answer was sent by somebody who could not know that it was wanted.
void ServerReach::on_bytes(std::string_view bytes) {
  if (state_ != State::Asked || bytes.size() != 1) {
    return fail("it sent more than an answer to SSLRequest");
  }
  const auto answer = view_encryption_answer(bytes.front());
  if (answer == EncryptionAnswer::Tls) return secure();
  if (answer != EncryptionAnswer::Refused) return fail("it gave no answer to SSLRequest");
  const TlsMode mode = to_->tls.settings.mode;
  if (mode == TlsMode::Disable || mode == TlsMode::Prefer) return end();
  fail(std::string("it does not speak TLS, which sslmode=") + name_of(mode) + " asks for");
}

void ServerReach::secure() {
  if (!to_->tls) return fail("it would speak TLS, which sslmode=disable rules out");
  auto handle = to_->tls.end->begin(to_->host, kAlpn);
  if (!handle) return fail(handle.error().reason);
  state_ = State::Securing;
  auto engine = std::make_unique<TlsEngine>(std::move(*handle), TlsEngine::Role::Client);
  if (!stream_.secure(std::move(engine), secured)) fail(stream_.tls_why());
}

void ServerReach::secured(StreamOwner& owner, int status) {
  auto& self = static_cast<ReachOwner&>(owner).reach();
  if (status != 0) return self.fail(self.stream_.tls_why());
  self.end();
}

void ServerReach::on_end(int status) { fail(uv_err_name(status)); }

void ServerReach::end() {
  state_ = State::Done;
  owner_.on_reached(nullptr);
}

// libpq would go no further once it is connected. Nothing of a login was said by then, so what does
// not speak there is as good as what does not listen.
bool ServerReach::next_address() {
  const bool under_way = state_ != State::Idle && state_ != State::Done;
  if (!under_way || !connector_.next()) return false;
  state_ = State::Connecting;
  return true;
}

void ServerReach::fail(std::string why) {
  if (next_address()) return;
  state_ = State::Idle;
  owner_.on_reached(why.c_str());
}

}  // namespace crossfade::postgres
