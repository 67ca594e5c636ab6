// What the server sends: whose it is, and to the client with it.
#include <spdlog/spdlog.h>

#include <variant>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/types.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

void PostgresSession::begin_reply_event(std::size_t bytes) {
  begin_event();
  counters().server_in.add(bytes);
}

void PostgresSession::on_connected(Upstream& up) {
  begin_event();
  interlay_.connect_succeeded(up.side());
  end_event();
}

void PostgresSession::on_raw(std::string_view bytes) { send(bytes); }

void PostgresSession::send(std::string_view bytes) {
  client_.write(bytes);
  counters().client_out.add(bytes.size());
}

// Cost of a result: one look per run of rows.
void PostgresSession::on_rows(Upstream& up, char type, std::string_view rows) {
  if (note_reply(up, {.type = type})) send(rows);
}

void PostgresSession::on_reply(Upstream& up, const Piece& piece) {
  if (piece.first() && !note_first(up, piece)) return;
  if (phase_ == Phase::Login && hide_plus(up, piece)) return;
  send(piece.bytes);
}

// False: it is not owed, and the session has ended.
bool PostgresSession::note_first(Upstream& up, const Piece& piece) {
  if (piece.type == from_server::kErrorResponse) {
    counters().errors[static_cast<std::size_t>(up.side())].add();
  } else if (phase_ == Phase::Login) {
    note_login(up, piece);
  }
  if (const auto message = server_message_of(piece)) return note_reply(up, *message);
  on_garbled(up, "no server sends this");
  return false;
}

bool PostgresSession::note_reply(Upstream& up, const ServerMessage& message) {
  const Arrival arrival = up.owed().arrived(message);
  const auto* answer = std::get_if<Answer>(&arrival);
  if (!answer) {
    on_garbled(up, std::get<Broken>(arrival).reason);
    return false;
  }
  if (answer->belongs == Belongs::LastWords) last_words_ = true;
  if (answer->belongs == Belongs::Reply && message.type == from_server::kReadyForQuery) {
    if (phase_ == Phase::Login) {
      phase_ = Phase::Ready;
      up.logged_in();
    }
    settle(up, answer->id);
  }
  return true;
}

// What a client does next hangs on how far its login has come.
void PostgresSession::note_login(Upstream& up, const Piece& piece) {
  if (piece.type == from_server::kAuthentication) {
    const auto asked = view_authentication(piece.body());
    if (!asked) return;
    password_wanted_ = asked->kind != Auth::Ok && asked->kind != Auth::SaslFinal;
    if (asked->kind == Auth::Ok && cutter_.at_boundary()) cutter_.continue_as(Stream::Client);
  } else if (piece.type == from_server::kBackendKeyData) {
    const auto key = view_backend_key(piece.body());
    if (!key) return;
    up.pid = key->pid;
    up.secret = key->key;
    loop().cancel_keys().add(interlay_.id(), up.pid, up.secret, handle_);
    listed_ = true;
  }
}

// Everything up to that message is answered.
void PostgresSession::settle(Upstream& up, std::uint64_t id) {
  interlay_.answer_succeeded(up.side(), now_ns_);
  std::uint64_t answered = 0;
  while (!sent_.empty() && sent_.front().id <= id) {
    counters().leg[static_cast<std::size_t>(up.side())].record(now_ns_ - sent_.front().at_ns);
    ++answered;
    sent_.pop();
  }
  answered_in_event_ += answered;
}

void PostgresSession::end_reply_event() {
  end_event();
  if (answered_in_event_ == 0) return;
  counters().proxy.record(uv_hrtime() - now_ns_ + request_cost_ns_, answered_in_event_);
  request_cost_ns_ = answered_in_event_ = 0;
}

void PostgresSession::on_garbled(Upstream& up, const char* reason) {
  interlay_.failed(up.side(), Interlay::Failure::Answer, now_ns_);
  spdlog::warn("interlay {}: {} endpoint '{}' sent what is no answer: {}", interlay_.id(),
               name_of(up.side()), up.address().id, reason);
  lose_server("sent what is no answer");
}

// Called outside of an event: the connection ended by itself.
void PostgresSession::on_lost(Upstream& up, const char* reason) {
  begin_event();
  if (up.state() == Upstream::State::Connecting) {
    interlay_.failed(up.side(), Interlay::Failure::Connect, now_ns_);
  }
  lose_server(reason);
  end_event();
}

void PostgresSession::on_entered(Upstream&) {}

void PostgresSession::on_not_entered(Upstream& up, const std::string& why) {
  if (&up == &server_) return home_not_entered(why);
  up.close();
}

// The client is told, unless it knows, or is in the midst of a message.
void PostgresSession::lose_server(const char* reason) {
  const bool connecting = server_.state() == Upstream::State::Connecting;
  if (phase_ == Phase::Raw && connecting && asked_ == Asked::Tls) {
    return say_unsupported(kSslCode);  // it was not to be told of the client's second SSLRequest
  }
  const bool silent = last_words_ || client_ended_ || phase_ == Phase::Raw ||
                      phase_ == Phase::Cancelling || !server_.at_boundary();
  if (silent) return close_client();
  if (connecting) return say_and_close("08006", unreachable(server_.side()));
  say_and_close("08006", "crossfade: the connection to " + std::string(name_of(server_.side())) +
                             " endpoint '" + server_.address().id + "' was lost: " + reason);
}

}  // namespace crossfade::postgres
