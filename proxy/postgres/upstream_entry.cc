// An upstream that logs itself in.
#include <algorithm>
#include <utility>
#include <variant>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/types.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"
#include "proxy/postgres/upstream.h"

namespace crossfade::postgres {

namespace {
constexpr std::string_view kLoginErrors = "28";  // class of SQLSTATEs: invalid authorization
}  // namespace

bool Upstream::enter(Side side, InterlayRoutePtr route, Entry entry, Shown shown,
                     std::uint64_t now_ns) {
  shown_ = shown;
  login_ =
      std::make_unique<UpstreamLogin>(std::move(entry), route->at(side)->id, loop_.known_keys());
  if (open(side, std::move(route), now_ns)) return true;
  login_.reset();
  return false;
}

void Upstream::begin_login() {
  owed_.sent_start_up(shown_ == Shown::Nothing ? Mark::Skip : Mark::Forward);
  stream_.write_copy(login_->begin(login_wire()));
  stream_.flush();
}

// The password itself goes to nobody who could be somebody else.
LoginWire Upstream::login_wire() const {
  return {.cleartext = reach_.trusted() ? Cleartext::Allowed : Cleartext::Refused,
          .certificate_hash = stream_.tls() ? stream_.tls()->end_point() : std::string()};
}

void Upstream::on_login(const Piece& piece) {
  const auto message = server_message_of(piece);
  if (!message || !piece.whole()) return not_entered("it sent what belongs to no login");
  if (message->type == from_server::kErrorResponse && hand_over(piece)) return;
  UpstreamLogin::Step step = login_->advance(piece);
  if (std::holds_alternative<UpstreamLogin::Authenticated>(step) && hand_over(piece)) return;
  const Arrival arrival = owed_.arrived(*message);
  if (const auto* error = std::get_if<Error>(&step)) return not_entered(error->message());
  if (const auto* broken = std::get_if<Broken>(&arrival)) return not_entered(broken->reason);
  if (piece.type == from_server::kBackendKeyData) note_key(piece);
  if (const auto* send = std::get_if<UpstreamLogin::Send>(&step)) {
    stream_.write_copy(send->bytes);
    stream_.flush();
  } else if (std::holds_alternative<UpstreamLogin::Entered>(step)) {
    login_.reset();
    state_ = State::Open;
    logged_in();
    session_.on_entered(*this);
  }
}

// From this message on everything is the session's. False: it is none that is shown.
bool Upstream::hand_over(const Piece& piece) {
  if (shown_ == Shown::Nothing) return false;
  const auto report = view_report(piece.body());
  const bool error = piece.type == from_server::kErrorResponse;
  if (error && (!report || report->sqlstate.starts_with(kLoginErrors))) return false;
  login_.reset();
  state_ = State::Open;
  session_.on_reply(*this, piece);
  return true;
}

void Upstream::not_entered(const std::string& why) {
  login_.reset();
  session_.on_not_entered(*this, why);
}

void Upstream::note_key(const Piece& piece) {
  const auto key = view_backend_key(piece.body());
  if (!key) return;
  pid = key->pid;
  secret = key->key;
}

void Upstream::note_setting(const Piece& piece) {
  const auto setting = piece.whole() ? view_setting(piece.body()) : std::nullopt;
  if (!setting || std::ranges::find(kKeptSettings, setting->name) == std::end(kKeptSettings))
    return;
  parameters.insert_or_assign(std::string(setting->name), std::string(setting->value));
}

}  // namespace crossfade::postgres
