// Connecting, and cutting the server's bytes.
#include "proxy/postgres/upstream.h"

#include <cassert>
#include <utility>
#include <variant>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/types.h"
#include "proxy/kept_bytes.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

Upstream::Upstream(PostgresSession& session, Loop& loop)
    : session_(session), loop_(loop), stream_(loop, *this), reach_(loop, stream_, *this) {}

bool Upstream::open(Side side, InterlayRoutePtr route, std::uint64_t now_ns, ServerReach::Ask ask) {
  assert(state_ == State::Idle);
  side_ = side;
  route_ = std::move(route);
  state_ = State::Connecting;
  opened_at_ns = now_ns;
  at_last_address_ = false;
  cutter_ = MessageCutter(Stream::ServerLogin);
  owed_ = OwedReplies();
  pid = 0;
  secret.clear();
  parameters.clear();
  holds = Holdings();
  return reach_.start(address(), ask);
}

void Upstream::on_reached(const char* why) {
  if (stream_.tls()) session_.on_handshake(*this, why == nullptr ? 0 : UV_EPROTO);
  if (why != nullptr) return lost(why);
  state_ = login_ ? State::Entering : State::Open;
  stream_.read_start();
  if (login_) begin_login();
  stream_.write_copy(std::exchange(early_, std::string()));
  stream_.flush();
  if (std::exchange(ends_early_, false)) stream_.shutdown_when_sent();
  session_.on_connected(*this);
}

void Upstream::write(std::string_view bytes) {
  if (state_ == State::Connecting) {
    early_.append(bytes);
  } else {
    stream_.write(bytes);
  }
}

void Upstream::finish() {
  if (state_ == State::Connecting) {
    ends_early_ = true;
  } else {
    stream_.shutdown_when_sent();
  }
}

void Upstream::close() {
  reach_.stop();
  stream_.close();
  login_.reset();
  std::string().swap(tail_);
  std::string().swap(early_);
  ends_early_ = false;
  state_ = State::Idle;
}

void Upstream::be(Side side, InterlayRoutePtr route) {
  assert(state_ == State::Open && *route->at(side) == address());
  side_ = side;
  route_ = std::move(route);
}

bool Upstream::try_next_address(std::uint64_t now_ns) {
  if (state_ != State::Connecting) return false;
  at_last_address_ = !reach_.next_address();
  if (!at_last_address_) opened_at_ns = now_ns;
  return !at_last_address_;
}

void Upstream::on_end(int status) {
  if (state_ == State::Connecting) return reach_.on_end(status);
  lost(uv_err_name(status));
}

// Called outside of an event.
void Upstream::lost(const char* reason) {
  if (!login_) return session_.on_lost(*this, reason);
  session_.begin_reply_event(0);
  not_entered(reason);
  session_.end_reply_event();
}

// A server that closes has said why before: that, and what the client has not taken yet, is still
// to be read, up to the end of it.
void Upstream::on_deaf(int) {}

void Upstream::on_room() { session_.on_upstream_room(); }

void Upstream::on_bytes(std::string_view bytes) {
  if (state_ == State::Connecting) return reach_.on_bytes(bytes);
  session_.begin_reply_event(bytes.size());
  if (session_.passes_raw()) {
    session_.on_raw(tail_);
    session_.on_raw(bytes);
    session_.flush();
    empty(tail_);
  } else if (tail_.empty()) {
    const std::size_t taken = take(bytes);
    session_.flush();
    if (reads()) tail_.assign(bytes.substr(taken));
  } else {
    tail_.append(bytes);
    if (tail_.size() >= wanted_) {
      const std::size_t taken = take(tail_);
      session_.flush();  // before what was written as a view moves
      drop_front(tail_, reads() ? taken : tail_.size());
    }
  }
  session_.end_reply_event();
}

// Returns how many of the bytes were handed to the session; the rest is awaited whole.
std::size_t Upstream::take(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && reads()) {
    const std::string_view rest = bytes.substr(at);
    if (session_.passes_raw()) {  // from here on
      session_.on_raw(rest);
      return bytes.size();
    }
    if (const std::size_t many = take_many(rest); many > 0) {
      at += many;
      continue;
    }
    const Cut cut = cutter_.next(rest);
    if (const auto* piece = std::get_if<Piece>(&cut)) {
      if (piece->type == from_server::kParameterStatus) note_setting(*piece);
      if (login_) {
        on_login(*piece);
      } else {
        session_.on_reply(*this, *piece);
      }
      at += piece->bytes.size();
    } else if (const auto* more = std::get_if<NeedMore>(&cut)) {
      wanted_ = rest.size() + more->at_least;
      break;
    } else {
      const char* const reason = std::get<Broken>(cut).reason;
      if (login_) {
        not_entered(reason);
      } else {
        session_.on_garbled(*this, reason);
      }
      return bytes.size();
    }
  }
  return at;
}

// Whole messages, many at once: rows, which are most of what passes by and all alike, and what
// stands around them.
std::size_t Upstream::take_many(std::string_view bytes) {
  if (!cutter_.at_boundary() || cutter_.stream() != Stream::Server || login_) return 0;
  if (const std::size_t many = session_.on_replies(*this, bytes); many > 0) return many;
  const char type = bytes[0];
  if (!from_server::is_row(type)) return 0;
  const Run run = run_of(type, bytes);
  if (run.messages == 0) return 0;
  session_.on_rows(*this, type, bytes.substr(0, run.size));
  return run.size;
}

}  // namespace crossfade::postgres
