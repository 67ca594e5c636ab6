// The client's bytes: cut into messages and handed on, or held until they may be.
#include <variant>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/types.h"
#include "proxy/kept_bytes.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

namespace {

constexpr std::uint32_t bit(char type) { return 1u << (type & 0x1f); }
constexpr bool is_upper(char type) { return (type & 0xe0) == 0x40; }

constexpr std::uint32_t kExtended = bit(from_client::kParse) | bit(from_client::kBind) |
                                    bit(from_client::kDescribe) | bit(from_client::kExecute) |
                                    bit(from_client::kClose) | bit(from_client::kFlush);
bool is_extended(char type) { return is_upper(type) && (kExtended & bit(type)) != 0; }

}  // namespace

// Views into `bytes` are flushed before they end.
void PostgresSession::consume(std::string_view bytes) {
  if (phase_ == Phase::Closing) return;
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
  drop_front(kept_, taken);
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
        server().write(rest);
        counters().server_out.add(rest.size());
        return bytes.size();
      case Phase::Cancelling:
      case Phase::Closing:
        return bytes.size();
      case Phase::Login:
      case Phase::Ready:
        break;
    }
    if (cutter_.at_boundary() && !mid_unit_ && cutter_.stream() == Stream::Client) {
      if (!watched_ && !replication_ && newest_route()->strategy) watch();
      if (watched_) {
        const std::size_t taken = take_unit(rest);
        at += taken;
        if (taken == 0 && phase_ != Phase::Raw) return phase_ == Phase::Closing ? bytes.size() : at;
        continue;
      }
    }
    if (const std::size_t many = pass_requests(rest); many > 0) {
      at += many;
      continue;
    }
    held_ = cutter_.at_boundary() ? held(rest[0]) : Held::No;
    if (held_ != Held::No) return at;
    const Cut cut = cutter_.next(rest);
    if (const auto* piece = std::get_if<Piece>(&cut)) {
      if (piece->first()) {
        refusing_ = watched_ && !read_on(*piece);
        if (!refusing_) on_request(*piece);
        if (phase_ == Phase::Closing) return bytes.size();
      }
      if (!refusing_) forward(*piece);
      at += piece->bytes.size();
    } else if (const auto* more = std::get_if<NeedMore>(&cut)) {
      wanted_ = rest.size() + more->at_least;
      return at;
    } else if (!go_raw()) {
      return at;
    }
  }
  return at;
}

// Small messages for the one side that there is, many at once: what there is to say of them all is
// asked once. Returns how many bytes that were.
std::size_t PostgresSession::pass_requests(std::string_view bytes) {
  const bool one_sided = !watched_ && (replication_ || !newest_route()->strategy);
  const bool between = cutter_.at_boundary() && cutter_.stream() == Stream::Client;
  if (phase_ != Phase::Ready || !one_sided || !between || canceller_) return 0;
  return pass_requests(server(), bytes);
}

std::size_t PostgresSession::pass_requests(Upstream& up, std::string_view bytes) {
  OwedReplies& owed = up.owed();
  std::size_t size = 0;
  char last = '\0';
  while (owed.room()) {
    const std::size_t one = common_size(bytes.substr(size));
    if (one == 0) break;
    const Piece piece{bytes[size], one, 0, bytes.substr(size, one)};
    const std::uint64_t id = owed.sent(client_message_of(piece), Mark::Forward);
    last = piece.type;
    if (last == from_client::kParse || last == from_client::kQuery) glance(piece);
    if (ends_unit(last)) note_unit_end(id);
    size += one;
  }
  if (size == 0) return 0;
  mid_unit_ = !ends_unit(last);
  was_used_ = true;
  up.stream().write(bytes.substr(0, size));
  counters().server_out.add(size);
  return size;
}

void PostgresSession::forward(const Piece& piece) {
  write_to(server(), piece);
  if (copying()) copy_piece(piece);
  if (dual_under_way() && !piece.first()) dual_->keep_more(piece.bytes);
}

// What the client says is no message: its server tells it so, and nobody else is asked any more.
// False: not before it is known who answers what was asked before.
bool PostgresSession::go_raw() {
  if (on_trial_) {
    held_ = Held::Side;
    wait_ = Wait::Trial;
    loop().mark_busy(*this);
    return false;
  }
  counters().protocol_errors.add();
  phase_ = Phase::Raw;
  drop_copies(Drop::Closed, Drop::Closed);
  at(other(current_)).close();
  return true;
}

// --- requests

PostgresSession::Held PostgresSession::held(char type) const {
  if (phase_ == Phase::Proving) return login_.scram ? Held::No : Held::Login;
  // A cancel that is on its way must not hit what was not meant.
  const OwedReplies& owed = server().owed();
  if (canceller_ && (!owed.owes() || owed.owes_ours())) return Held::Cancel;
  if (!server().owed().room()) return Held::Room;
  if (cutter_.stream() != Stream::ClientLogin) return Held::No;
  if (login_.ours) return Held::Login;
  return type != from_client::kPassword && !password_wanted_ ? Held::Login : Held::No;
}

// The first piece of a message goes to the server; returns its id there, 0 for one of the login.
std::uint64_t PostgresSession::on_request(const Piece& piece) {
  if (phase_ == Phase::Login && cutter_.stream() == Stream::ClientLogin) {
    password_wanted_ = false;
    if (binds_in_vain(piece)) refuse(kBindsInVain, LoginRefused::Binding);
    return 0;
  }
  const std::uint64_t id = server().owed().sent(client_message_of(piece), Mark::Forward);
  if (ends_unit(piece.type)) {
    mid_unit_ = false;
  } else if (is_extended(piece.type)) {
    mid_unit_ = true;
  }
  was_used_ = true;
  const std::uint64_t copy_id = copying() ? copy_request(id, piece) : 0;
  const bool leaves_nothing =
      piece.type == from_client::kExecute || piece.type == from_client::kDescribe;
  if (piece.type == from_client::kDescribe) note_described(id, piece);
  if (!watched_) {
    glance(piece);
  } else if (leaves_nothing && !dual_under_way()) {
    state_.sent_more();
  } else {
    note_request(id, copy_id, piece);
  }
  if (ends_unit(piece.type)) note_unit_end(id);
  if (piece.type == from_client::kTerminate) last_words_ = true;
  return id;
}

// A message was sent that ReadyForQuery will follow.
void PostgresSession::note_unit_end(std::uint64_t id) {
  sent_.push({.id = id, .at_ns = now_ns_ & Sent::kTimes});
  note_definitions();
  if (is_new_only()) new_only_.sent(id);
  counters().requests[index(server().side())][static_cast<std::size_t>(kind_)].add();
}

// Nothing keeps the client's bytes any more.
void PostgresSession::resume() {
  held_ = Held::No;
  if (!kept_.empty()) {
    const std::size_t taken = take(kept_);
    flush();
    drop_front(kept_, taken);
  }
}

}  // namespace crossfade::postgres
