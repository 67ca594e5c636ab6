// A session's life, and the client's bytes.
#include "proxy/postgres/session.h"

#include <utility>
#include <variant>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/types.h"
#include "proxy/loop.h"

namespace crossfade::postgres {

namespace {
constexpr std::uint64_t kNsPerMs = 1'000'000;
// Who does not read why its connection ends is not waited for longer.
constexpr std::uint64_t kLingerNs = 10'000 * kNsPerMs;
}  // namespace

void accept_session(Interlay& interlay, uv_stream_t* listener) {
  auto session = std::make_unique<PostgresSession>(interlay);
  if (session->accept(listener)) session.release();  // the interlay's list owns it now
}

PostgresSession::PostgresSession(Interlay& interlay)
    : interlay_(interlay),
      client_(interlay.loop(), *this),
      server_(*this, interlay.loop()),
      handle_(std::make_shared<SessionHandle>(SessionHandle{&interlay.loop(), this})) {
  interlay_.join(*this);
}

PostgresSession::~PostgresSession() {
  handle_->session = nullptr;
  forget_key();
  answer_askers();
  if (secure_) counters().tls_sessions_open.sub();
  interlay_.leave(*this);
}

bool PostgresSession::accept(uv_stream_t* listener) {
  if (!client_.accept(listener)) return false;
  begin_event();
  accepted_at_ns_ = now_ns_;
  if (counters().sessions_open.get() > settings().clients_max) {
    counters().hit(Limit::ClientsMax);
    std::string text;
    append_error(text, {"FATAL", "53300", "sorry, too many clients already"});
    client_.write_copy(text);
    client_.flush();
    return false;
  }
  loop().mark_busy(*this);
  client_.read_start();
  return true;
}

void PostgresSession::begin_event() { now_ns_ = uv_hrtime(); }

void PostgresSession::on_bytes(std::string_view bytes) {
  begin_event();
  counters().client_in.add(bytes.size());
  consume(bytes);
  end_event();
  request_cost_ns_ = uv_hrtime() - now_ns_;
}

void PostgresSession::on_room() {
  begin_event();
  end_event();
}

void PostgresSession::on_upstream_room() {
  begin_event();
  end_event();
}

// Views into `bytes` are flushed before they end.
void PostgresSession::consume(std::string_view bytes) {
  if (kept_.empty()) {
    const std::size_t taken = take(bytes);
    flush();
    kept_.assign(bytes.substr(taken));
    return;
  }
  kept_.append(bytes);
  if (held_ != Held::No || kept_.size() < wanted_) return;
  const std::size_t taken = take(kept_);
  flush();
  kept_.erase(0, taken);
}

// Hands on what can be; returns how many bytes that were.
std::size_t PostgresSession::take(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::string_view rest = bytes.substr(at);
    switch (phase_) {
      case Phase::Opening: {
        const std::size_t taken = take_opening(rest);
        if (taken == 0) return at;
        at += taken;
        continue;
      }
      case Phase::Proving: {
        const std::size_t taken = take_proof(rest);
        if (taken == 0) return at;
        at += taken;
        continue;
      }
      case Phase::Raw:
        server_.write(rest);
        counters().server_out.add(rest.size());
        return bytes.size();
      case Phase::Cancelling:
      case Phase::Closing:
        return bytes.size();
      case Phase::Login:
      case Phase::Ready:
        break;
    }
    held_ = cutter_.at_boundary() ? held(rest[0]) : Held::No;
    if (held_ != Held::No) return at;
    const Cut cut = cutter_.next(rest);
    if (const auto* piece = std::get_if<Piece>(&cut)) {
      if (piece->first()) on_request(*piece);
      if (phase_ == Phase::Closing) return bytes.size();
      server_.stream().write(piece->bytes);
      counters().server_out.add(piece->bytes.size());
      at += piece->bytes.size();
    } else if (const auto* more = std::get_if<NeedMore>(&cut)) {
      wanted_ = rest.size() + more->at_least;
      return at;
    } else {
      counters().protocol_errors.add();
      phase_ = Phase::Raw;
    }
  }
  return at;
}

// --- requests

PostgresSession::Held PostgresSession::held(char type) const {
  if (phase_ == Phase::Proving) return login_.scram ? Held::No : Held::Login;
  // A cancel that is on its way must not hit what was not meant.
  if (canceller_ && !server_.owed().owes()) return Held::Cancel;
  if (!server_.owed().room()) return Held::Room;
  if (cutter_.stream() != Stream::ClientLogin) return Held::No;
  if (login_.ours) return Held::Login;
  return type != from_client::kPassword && !password_wanted_ ? Held::Login : Held::No;
}

void PostgresSession::on_request(const Piece& piece) {
  if (phase_ == Phase::Login && cutter_.stream() == Stream::ClientLogin) {
    password_wanted_ = false;
    if (binds_in_vain(piece)) refuse(kBindsInVain);
    return;
  }
  const std::uint64_t id = server_.owed().sent(client_message_of(piece), Mark::Forward);
  switch (piece.type) {
    case from_client::kQuery:
    case from_client::kSync:
    case from_client::kFunctionCall:
      sent_.push({id, now_ns_});
      counters()
          .requests[static_cast<std::size_t>(server_.side())][static_cast<std::size_t>(Kind::Other)]
          .add();
      break;
    case from_client::kTerminate:
      last_words_ = true;
      break;
    default:
      break;
  }
}

// Nothing keeps the client's bytes any more.
void PostgresSession::resume() {
  held_ = Held::No;
  if (!kept_.empty()) {
    const std::size_t taken = take(kept_);
    flush();
    kept_.erase(0, taken);
  }
  if (client_ended_ && held_ == Held::No) server_.finish();
}

// --- the end

void PostgresSession::on_end(int status) {
  begin_event();
  client_ended_ = true;
  if (status != UV_EOF || phase_ == Phase::Opening || phase_ == Phase::Proving ||
      phase_ == Phase::Closing) {
    client_.close();
  } else if (held_ == Held::No) {
    server_.finish();  // the server sees the end where the client put it
  }
  end_event();
}

void PostgresSession::flush() {
  server_.stream().flush();
  client_.flush();
}

// The end of every event: what waited goes on, and who is through ends.
void PostgresSession::end_event() {
  const bool go_on = held_ != Held::No && !kept_.empty() && held(kept_[0]) == Held::No;
  if (go_on) resume();
  flush();
  if (safe_point() && (draining_ || left_behind())) {
    if (!draining_) counters().sessions_ended.add();
    say_and_close("57P01", draining_ ? "terminating connection due to administrator command"
                                     : "crossfade: terminating connection because its interlay "
                                       "has moved to another server, connect again");
  }
  update_reading();
  if (!client_.open()) {
    server_.close();
    loop().kill(*this);
  }
}

// A slow reader slows its own source.
void PostgresSession::update_reading() {
  const std::size_t most = settings().output_buffer_max;
  if (client_.open() && !client_ended_ && phase_ != Phase::Closing) {
    if (held_ != Held::No || server_.stream().unsent() > most) {
      client_.read_stop();
    } else {
      client_.read_start();
    }
  }
  if (server_.state() != Upstream::State::Open) return;
  if (client_.unsent() > most) {
    if (server_.stream().reading()) counters().hit(Limit::OutputBufferMax);
    server_.stream().read_stop();
  } else {
    server_.stream().read_start();
  }
}

// Nothing is under way, and no transaction is open.
bool PostgresSession::safe_point() const {
  return phase_ == Phase::Ready && !server_.owed().owes() && cutter_.at_boundary() &&
         kept_.empty() && server_.owed().transaction() == Transaction::Idle;
}

// Its server is not the one that the newest table sends it to.
bool PostgresSession::left_behind() const {
  const InterlayRoute& newest = *interlay_.route();
  return !(*newest.at(newest.home_side()) == server_.address());
}

void PostgresSession::say_and_close(std::string_view sqlstate, const std::string& message) {
  std::string text;
  append_error(text, {"FATAL", sqlstate, message});
  client_.write_copy(text);
  close_client();
}

void PostgresSession::close_client() {
  phase_ = Phase::Closing;
  closing_at_ns_ = now_ns_;
  server_.close();
  client_.read_stop();
  client_.close_when_sent();
  loop().mark_busy(*this);
}

bool PostgresSession::on_tick(std::uint64_t now_ns) {
  now_ns_ = now_ns;
  const std::uint64_t connect_ns = settings().connect_timeout_ms * kNsPerMs;
  if (canceller_ && connect_ns != 0 && now_ns > canceller_->began_at_ns() + connect_ns) {
    on_cancelled();
  }
  switch (phase_) {
    case Phase::Opening:
    case Phase::Proving:
      check_opening();
      break;
    case Phase::Login:
    case Phase::Raw:
    case Phase::Cancelling:
      check_connecting(connect_ns);
      break;
    case Phase::Closing:
      if (now_ns > closing_at_ns_ + kLingerNs) client_.close();
      break;
    case Phase::Ready:
      break;
  }
  end_event();
  return phase_ != Phase::Ready || canceller_ || draining_;
}

void PostgresSession::check_connecting(std::uint64_t limit_ns) {
  if (server_.state() != Upstream::State::Connecting) {
    if (phase_ == Phase::Login && now_ns_ > accepted_at_ns_ + kLoginMaxNs) close_client();
    return;
  }
  if (limit_ns == 0 || now_ns_ <= server_.opened_at_ns + limit_ns) return;
  counters().hit(Limit::ConnectTimeout);
  lose_server("did not accept a connection in time");
}

void PostgresSession::on_route() {
  begin_event();
  end_event();
}

void PostgresSession::drain() {
  draining_ = true;
  begin_event();
  loop().mark_busy(*this);
  if (phase_ == Phase::Opening || phase_ == Phase::Proving || phase_ == Phase::Login) {
    say_and_close("57P03", "the database system is shutting down");
  }
  end_event();
}

void PostgresSession::abort() {
  client_.close();
  loop().kill(*this);
}

}  // namespace crossfade::postgres
