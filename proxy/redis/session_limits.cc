// What bounds a session: back-pressure between its client and its servers, and time limits.
#include <algorithm>

#include "proxy/clock.h"
#include "proxy/loop.h"
#include "proxy/redis/session.h"

namespace crossfade::redis {

namespace {}  // namespace

// Whether the client is to wait for what this side has not taken yet. Second legs have a limit of
// their own.
bool RedisSession::waits_for(Side side) const {
  if (queue_.empty()) return upstream(side).unconfirmed;
  return queue_.front()->answer == side || queue_.back()->answer == side;
}

void RedisSession::update_reading() {
  const InterlaySettings& limits = settings();
  if (client_.open()) {
    const bool full = (old_.unsent() > limits.output_buffer_max && waits_for(Side::Old)) ||
                      (new_.unsent() > limits.output_buffer_max && waits_for(Side::New)) ||
                      queue_.size() >= limits.pipeline_max;
    // While requests wait it is read on, so that its leaving is seen; a server does the same.
    const bool waits =
        (stalled_ && partial_ && partial_->bytes.size() > limits.output_buffer_max) || paced_;
    if (client_ended_ || waits || full) {
      if (full && client_.reading()) {
        counters().hit(queue_.size() >= limits.pipeline_max ? Limit::PipelineMax
                                                            : Limit::OutputBufferMax);
      }
      client_.read_stop();
    } else {
      client_.read_start();
    }
  }
  // A client may send all of a pipeline before it reads: one whose pipeline is full is owed the
  // room for its replies that a server would have made, or neither would ever go on.
  const bool pipeline_full = queue_.size() >= limits.pipeline_max;
  const Limit unsent_limit = pipeline_full ? Limit::UnreadMax : Limit::OutputBufferMax;
  const std::uint32_t unsent_max = pipeline_full
                                       ? std::max(limits.unread_max, limits.output_buffer_max)
                                       : limits.output_buffer_max;
  const bool client_slow = client_.open() && client_.unsent() > unsent_max;
  if (client_slow && slow_since_ns_ == 0) slow_since_ns_ = now_ns_;
  if (client_.unsent() == 0) slow_since_ns_ = 0;
  const bool holding = reordered_ > limits.reorder_max;
  for (Upstream* up : {&old_, &new_}) {
    if (up->state() != Upstream::State::Ready) continue;
    const Exchange* front = queue_.front();
    const Side awaited = front && !client_mid_push_ ? front->awaited() : anchor();
    const bool delivers = awaited == up->side();
    const bool stop = (client_slow && delivers) || (holding && !delivers && front);
    if (stop) {
      if (up->stream().reading()) {
        counters().hit(client_slow ? unsent_limit : Limit::ReorderMax);
      }
      up->stream().read_stop();
    } else if (!up->stream().reading()) {
      up->progress_at_ns = now_ns_;
      up->stream().read_start();
    }
  }
}

bool RedisSession::on_tick(std::uint64_t now_ns) {
  now_ns_ = now_ns;
  if (client_.securing()) return await_handshake();
  check_turns();
  note_silence_again();
  const bool old_busy = check_limits(old_, now_ns);
  const bool new_busy = check_limits(new_, now_ns);
  if (client_ended_ && now_ns > ended_at_ns_ + kLingerNs &&
      (queue_.empty() || left_behind_at_ns_ != 0)) {
    abort();
    return false;
  }
  if (client_ended_ && stalled_ && waits_for_blocked() && now_ns > ended_at_ns_ + kBlockedNs) {
    forget_waiting();
    finish_upstreams();
  }
  flush();
  end_event();
  return old_busy || new_busy || client_ended_ || stalled_ || draining_ ||
         left_behind_at_ns_ != 0 || loss_noticed_[0] || loss_noticed_[1] ||
         (silent_ && !silent_->sole);
}

// Gives up on a side that is over its time limit; returns whether it must be looked at again.
bool RedisSession::check_limits(Upstream& up, std::uint64_t now_ns) {
  const InterlaySettings& limits = settings();
  const Exchange* front = up.owed().front();
  if (up.state() == Upstream::State::Connecting) {
    // Nobody waits longer for a leg that can be done without because it cannot even be sent.
    const bool dispensable =
        front &&
        (front->internal ? up.side() != anchor() : front->answer != up.side() || front->fallback);
    const std::uint64_t limit_ms =
        dispensable ? std::min(limits.connect_timeout_ms, limits.second_leg_timeout_ms)
                    : limits.connect_timeout_ms;
    if (now_ns > up.opened_at_ns + limit_ms * kNsPerMs) {
      counters().hit(Limit::ConnectTimeout);
      const bool hands = up.stream().securing();
      if (hands) interlay_.handshake_late(peer_at(up.side()));
      lose(up, Drop::Timeout,
           hands ? "did not finish the TLS handshake in time; does it speak TLS?"
                 : "did not accept a connection in time",
           Interlay::Failure::Connect);
      return false;
    }
    return true;
  }
  if (!front) return false;
  if (front->form == Exchange::Form::Raw || !up.stream().reading()) return true;
  if (client_.open() && !client_ended_ && streams_to(up) && front == up.owed().back() &&
      up.unsent() == 0) {
    up.progress_at_ns = now_ns;  // it is the client that lets us wait for the rest of the request
    return true;
  }
  const bool authoritative =
      front->internal ? up.side() == anchor() : front->answer == up.side() && !front->fallback;
  if (front->blocks && authoritative) return true;
  // A second leg that waits for the first one is not late.
  if (!authoritative && front->dual && !front->internal && !front->dual->resolved) return true;
  const std::uint64_t limit_ns =
      (authoritative ? limits.answer_timeout_ms : limits.second_leg_timeout_ms) * kNsPerMs;
  std::uint64_t since = std::max(front->sent_at_ns, up.progress_at_ns);
  if (!authoritative && front->dual && !front->internal) {
    since = std::max(since, front->dual->resolved_at_ns);
  }
  if (limit_ns == 0 || now_ns < since + limit_ns) return true;
  if (!authoritative) {
    lose(up, Drop::Timeout, "did not answer within second_leg_timeout_ms",
         Interlay::Failure::Answer);
    return true;
  }
  counters().hit(Limit::AnswerTimeout);
  std::optional<Interlay::Failure> blame;
  if (interlay_.answered_at_ns(up.side()) <= since) blame = Interlay::Failure::Stall;
  lose(up, Drop::Timeout, "did not answer within answer_timeout_ms", blame);
  return true;
}

}  // namespace crossfade::redis
