// Cancelling: a request to cancel goes to the backend that runs the session's request, and nothing
// that the client sends later reaches that backend before the cancel is through.
#include <utility>

#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

// --- the connection that carries the request

void PostgresSession::start_cancel(const CancelRequest& request, std::string_view packet) {
  const SessionHandlePtr target =
      loop().postgres().cancel_keys.find(interlay_.id(), request.pid, request.key);
  if (!target) {  // another sidecar's, or a made up one: the server knows
    return start_up(packet, Phase::Cancelling);
  }
  phase_ = Phase::Cancelling;
  target->loop->post([target, asker = handle_] {
    if (target->session) return target->session->cancel(asker);
    asker->loop->post([asker] { tell(*asker); });
  });
}

void PostgresSession::tell(const SessionHandle& asker) {
  if (!asker.session) return;
  asker.session->close_client();
  asker.session->end_event();
  asker.loop->bury();
}

// --- the session that it means

void PostgresSession::cancel(const SessionHandlePtr& asker) {
  begin_event();
  askers_.push_back(asker);
  Upstream& runs = running();
  const bool waits = held_ == Held::Side &&
                     (wait_ == Wait::Entry || wait_ == Wait::Telling || wait_ == Wait::Giving);
  if (waits) {
    wait_cancelled_ = true;
    answer_askers();
  } else if (!runs.owed().owes() || runs.state() != Upstream::State::Open || runs.pid == 0) {
    answer_askers();  // it runs nothing
  } else if (!canceller_) {
    trial_cancelled_ = on_trial_;
    // What is given up on old is not to be done on new.
    if (shadow_ && !shadow_->empty()) fail_copies(Drop::Closed);
    if (!start_canceller(runs)) end_cancel();
  }
  end_event();
  loop().bury();
}

// Once the first side has done it, what a dual write waits for is the second, which then goes
// without.
Upstream& PostgresSession::running() {
  const bool second = dual_ && (dual_->stage == DualTransaction::Stage::Second ||
                                dual_->stage == DualTransaction::Stage::SecondCommit);
  return second ? at(dual_->second()) : server();
}

bool PostgresSession::start_canceller(Upstream& up) {
  canceller_ = std::make_unique<Canceller>(*this, loop(), up.address(), now_ns_);
  loop().mark_busy(*this);
  return canceller_->start(up.peer(), up.pid, up.secret);
}

// What that server still runs is nobody's.
void PostgresSession::cancel_for_nobody(Upstream& up) {
  if (up.pid == 0) return;
  nobodys_canceller_ = std::make_unique<Canceller>(*this, loop(), up.address(), now_ns_);
  loop().mark_busy(*this);
  if (!nobodys_canceller_->start(up.peer(), up.pid, up.secret)) nobodys_canceller_.reset();
}

// The request was given up there: what the client wants cancelled next runs elsewhere.
void PostgresSession::leave_cancel() {
  if (!canceller_) return;
  nobodys_canceller_ = std::move(canceller_);
  answer_askers();
}

void PostgresSession::on_cancelled(const Canceller& which) {
  if (&which != canceller_.get()) {
    nobodys_canceller_.reset();
    return;
  }
  begin_event();
  // It came too late for the first side of a dual write.
  Upstream& runs = running();
  const bool followed = &runs != &server() && runs.owed().owes() && runs.pid != 0 &&
                        runs.state() == Upstream::State::Open && !(runs.address() == which.to());
  if (!followed || !start_canceller(runs)) end_cancel();
}

void PostgresSession::end_cancel() {
  begin_event();
  canceller_.reset();
  answer_askers();
  end_event();
}

void PostgresSession::answer_askers() {
  for (SessionHandlePtr& asker : std::exchange(askers_, {})) {
    Loop& its = *asker->loop;
    its.post([asker = std::move(asker)] { tell(*asker); });
  }
}

void PostgresSession::forget_key() {
  if (std::exchange(listed_, false)) {
    loop().postgres().cancel_keys.remove(interlay_.id(), told_pid_, handle_);
  }
}

}  // namespace crossfade::postgres
