// A session's life: from its accept to its end, and what every event ends with.
#include "proxy/postgres/session.h"

#include <utility>
#include <variant>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/types.h"
#include "proxy/clock.h"
#include "proxy/loop.h"

namespace crossfade::postgres {

namespace {
// Whoever takes nothing for so long of what is left when its connection ends is not waited for.
constexpr std::uint64_t kLingerNs = 60'000 * kNsPerMs;
// Whoever still sends when all was said has this long to hear it.
constexpr std::uint64_t kHearOutNs = 2'000 * kNsPerMs;
}  // namespace

void accept_session(Interlay& interlay, uv_stream_t* listener) {
  auto session = std::make_unique<PostgresSession>(interlay);
  if (session->accept(listener)) session.release();  // the interlay's list owns it now
}

PostgresSession::PostgresSession(Interlay& interlay)
    : interlay_(interlay),
      client_(interlay.loop(), *this),
      upstreams_{Upstream(*this, interlay.loop()), Upstream(*this, interlay.loop())},
      handle_(std::make_shared<SessionHandle>(SessionHandle{&interlay.loop(), this})) {
  at(Side::New).stream().set_gauge(&interlay.unsent[index(Side::New)]);
  interlay_.join(*this);
}

PostgresSession::~PostgresSession() {
  show_stay(std::nullopt);
  ending_ = true;
  ring_unsettled();
  count(new_only_.unanswered());
  drop_copies(Drop::Closed, Drop::Closed);
  handle_->session = nullptr;
  forget_key();
  answer_askers();
  if (secure_) counters().tls_sessions_open.sub();
  interlay_.leave(*this);
}

bool PostgresSession::accept(uv_stream_t* listener) {
  if (!client_.accept(listener)) return false;
  interlay_.place(*this);
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

// The server sees the client's end where the client put it: behind all that it has sent, and in the
// midst of a unit that it has not closed.
void PostgresSession::pass_end() {
  if (!client_ended_ || phase_ == Phase::Opening || phase_ == Phase::Proving) return;
  if (phase_ == Phase::Closing || held_ != Held::No) return;
  if (!dual_under_way() || dual_->may_get_more()) server().finish();
}

void PostgresSession::on_end(int status) {
  begin_event();
  client_ended_ = true;
  if (status != UV_EOF || phase_ == Phase::Opening || phase_ == Phase::Proving) {
    client_.close();
  } else if (phase_ == Phase::Closing) {
    client_.close_when_sent();  // it may read on
  }
  end_event();
}

void PostgresSession::flush() {
  server().stream().flush();
  client_.flush();
  if (shadow_) at(Side::New).stream().flush();
}

// The end of every event: what waited goes on, and who is through ends.
void PostgresSession::end_event() {
  change_places();
  if (may_go_on()) resume();
  pass_end();
  follow();
  show_stay(why_it_stays());
  interlay_.count_texts();
  update_shadow();
  flush();
  if (safe_point() && (draining_ || left_behind())) {
    if (!draining_) counters().sessions_ended.add();
    say_and_close("57P01", draining_ ? "terminating connection due to administrator command"
                                     : "crossfade: terminating connection because its interlay "
                                       "has moved to another server, connect again");
  }
  update_reading();
  if (!client_.open()) abandon_dual();
  if (!client_.open() && !copies_linger()) {
    for (Upstream& up : upstreams_) up.close();
    loop().kill(*this);
  }
}

// A slow reader slows its own source.
void PostgresSession::update_reading() {
  const std::size_t most = settings().output_buffer_max;
  if (client_.open() && !client_ended_) {
    if (phase_ != Phase::Closing && (held_ != Held::No || server().stream().unsent() > most)) {
      client_.read_stop();
    } else {
      client_.read_start();
    }
  }
  for (Upstream& up : upstreams_) {
    if (up.state() != Upstream::State::Open) continue;
    if (client_.unsent() > most && !is_copy(up)) {
      if (up.stream().reading()) counters().hit(Limit::OutputBufferMax);
      up.stream().read_stop();
    } else {
      up.stream().read_start();
    }
  }
}

// What the client's bytes were held for is over.
bool PostgresSession::may_go_on() const {
  if (held_ == Held::No || kept_.empty() || phase_ == Phase::Closing) return false;
  if (held_ != Held::Side) return held(kept_[0]) == Held::No;
  if (wait_cancelled_) return true;
  const Upstream& wanted = at(wanted_side_);
  switch (wait_) {
    case Wait::Nothing:
      return true;
    case Wait::Answers:
      // A COPY that was not known yet takes what waits for its own.
      return !server().owed().owes() || takes_data(server().owed().copying());
    case Wait::Trial:
      return !on_trial_;
    case Wait::Entry:
      return wanted.state() == Upstream::State::Open || wanted.state() == Upstream::State::Idle ||
             late_to_answer(wanted.opened_at_ns);
    case Wait::Telling:
      return !asking_;
    case Wait::Giving:
      return wanted.holds.giving_id == 0 || late_to_answer(wanted.holds.giving_since_ns);
    case Wait::Dual:
      return !dual_under_way() || server().owed().awaits_sync();
    case Wait::Disk:
      return noting_ == Noting::Done || noting_ == Noting::No;
  }
  return true;
}

// Nothing is under way, and no transaction is open.
bool PostgresSession::safe_point() const {
  return phase_ == Phase::Ready && !dual_ && !server().owed().owes() && cutter_.at_boundary() &&
         !mid_unit_ && !server().owed().awaits_sync() && kept_.empty() &&
         server().owed().transaction() == Transaction::Idle;
}

// Its server is not the one that the newest table sends it to.
bool PostgresSession::left_behind() const {
  const EndpointAddress* const newest = newest_route()->at(current_);
  if (newest && newest == &server().address()) return false;  // of the same table
  if (!watched_) return newest_route()->home_side() == current_ && !(*newest == server().address());
  return newest && !(*newest == server().address());
}

void PostgresSession::say_and_close(std::string_view sqlstate, const std::string& message) {
  std::string text;
  append_error(text, {"FATAL", sqlstate, message});
  client_.write_copy(text);
  close_client();
}

// A connection that is closed before its client has ended takes with it what the client has not
// read, if that sends anything more: so it is half-closed first, and what comes is dropped.
void PostgresSession::close_client() {
  const bool may_send = (phase_ == Phase::Ready || phase_ == Phase::Raw) && !client_ended_;
  client_.flush();  // views of what the servers' connections keep
  phase_ = Phase::Closing;
  closing_at_ns_ = now_ns_;
  abandon_dual();
  ring_unsettled();
  count(new_only_.unanswered());
  for (Upstream& up : upstreams_) {
    if (!is_copy(up) || !copies_linger()) up.close();
  }
  if (may_send && !draining_) {
    client_.shutdown_when_sent();
  } else {
    client_.close_when_sent();
  }
  loop().mark_busy(*this);
}

bool PostgresSession::on_tick(std::uint64_t now_ns) {
  now_ns_ = now_ns;
  const std::uint64_t connect_ns = settings().connect_timeout_ms * kNsPerMs;
  if (canceller_ && connect_ns != 0 && now_ns > canceller_->began_at_ns() + connect_ns) {
    end_cancel();
  }
  check_copies();
  switch (phase_) {
    case Phase::Opening:
    case Phase::Proving:
      check_handshake();
      check_login();
      break;
    case Phase::Login:
    case Phase::Raw:
    case Phase::Cancelling:
      check_login();
      check_connecting(connect_ns);
      break;
    case Phase::Closing:
      check_lingering();
      break;
    case Phase::Ready:
      check_entries();
      check_giving();
      check_trial();
      check_staying();
      check_second();
      break;
  }
  end_event();
  return phase_ != Phase::Ready || canceller_ || copies_wait() || draining_ ||
         held_ == Held::Side || on_trial_ || dual_under_way() || staying_since_ns_ != 0 ||
         entering();
}

// Who has not logged in in time is closed, as by a server, and in its words. A server that keeps
// silent itself is as good as none.
void PostgresSession::check_login() {
  const std::uint64_t limit_ns = settings().login_timeout_ms * kNsPerMs;
  if (logged_in_ || limit_ns == 0 || now_ns_ <= accepted_at_ns_ + limit_ns) return;
  counters().hit(Limit::LoginTimeout);
  const bool servers = phase_ == Phase::Login && !password_wanted_;
  if (!servers) counters().refused(LoginRefused::Timeout);
  if (phase_ != Phase::Login) return close_client();
  if (!servers) {
    return say_and_close("57014", "canceling authentication due to timeout");
  }
  interlay_.failed(server().side(), Interlay::Failure::Answer, now_ns_);
  lose_server("it did not answer the login in time");
}

// A slow reader is given all of it, one that stands still is not waited for.
void PostgresSession::check_lingering() {
  if (client_.unsent() != lingering_) {
    lingering_ = client_.unsent();
    closing_at_ns_ = now_ns_;
  }
  if (now_ns_ > closing_at_ns_ + (lingering_ > 0 ? kLingerNs : kHearOutNs)) client_.close();
}

// Whether a server speaks TLS is waited for as long as for the rest of a login, where it has no
// other address; and what follows has its own time.
void PostgresSession::check_connecting(std::uint64_t limit_ns) {
  if (server().state() != Upstream::State::Connecting) return;
  if (server().asked() && server().at_last_address()) server().opened_at_ns = now_ns_;
  if (limit_ns == 0 || now_ns_ <= server().opened_at_ns + limit_ns) return;
  if (!server().asked()) counters().hit(Limit::ConnectTimeout);
  if (server().try_next_address(now_ns_) || server().asked()) return;
  lose_server("did not accept a connection in time");
}

void PostgresSession::on_route() {
  begin_event();
  alone_until_ns_ = 0;
  const bool between = phase_ == Phase::Ready && cutter_.at_boundary() && !mid_unit_;
  note_unread();
  suspect_lone();
  if (between && !watched_ && !replication_ && newest_route()->strategy) {
    watch();
  }
  loop().mark_busy(*this);
  end_event();
}

void PostgresSession::drain() {
  draining_ = true;
  begin_event();
  loop().mark_busy(*this);
  if (phase_ == Phase::Opening || phase_ == Phase::Proving || phase_ == Phase::Login) {
    counters().refused(LoginRefused::Draining);
    say_and_close("57P03", "the database system is shutting down");
  }
  end_event();
}

void PostgresSession::abort() {
  abandon_dual();
  client_.close();
  loop().kill(*this);
}

}  // namespace crossfade::postgres
