// A session's life and the client's bytes.
#include "proxy/redis/session.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <utility>

#include "proxy/loop.h"
#include "strategies/api_keys.h"

namespace crossfade::redis {

namespace {
// Bulks up to this size are awaited whole: the request is then planned with everything known.
constexpr std::int64_t kStreamAbove = 16 * 1024;
// The server's limit on the arguments of clients that have not logged in.
constexpr std::int64_t kUnauthenticatedArgs = 10;
// A client that pipelines dual writes is read no further while the second side has this many of
// them to answer: a healthy side catches up, a sick one is given up after second_leg_timeout_ms.
constexpr std::uint32_t kPaceAbove = 1024;
constexpr std::uint32_t kPaceBelow = 256;
std::atomic<std::uint64_t> sessions_ever{0};
}  // namespace

void accept_session(Interlay& interlay, uv_stream_t* listener) {
  auto session = std::make_unique<RedisSession>(interlay);
  if (session->accept(listener)) session.release();  // the interlay's list owns it now
}

RedisSession::RedisSession(Interlay& interlay)
    : id_(++sessions_ever),
      interlay_(interlay),
      route_(interlay.route()),
      writes_(interlay.shared_writes()),
      client_(interlay.loop(), *this),
      old_(*this, interlay.loop(), Side::Old),
      new_(*this, interlay.loop(), Side::New) {
  for (Upstream* up : {&old_, &new_}) {
    up->set_gauge(&interlay.unsent[static_cast<std::size_t>(up->side())]);
  }
  interlay_.join(*this);
}

RedisSession::~RedisSession() {
  // What is still owed now will never be heard of.
  if (secured_) counters().tls_sessions_open.sub();
  show_stay(false);
  client_.close();
  give_back_next();
  give_back(std::exchange(transaction_write_, nullptr));
  end_silence(false);
  for (Upstream* up : {&old_, &new_}) {
    forsake(*up);
    fail_owed(*up, Drop::Closed, "the session ended");
    up->close();
  }
  while (Exchange* exchange = queue_.front()) {
    queue_.pop();
    if (DualWrite* const dual = std::exchange(exchange->dual, nullptr)) give_back(dual);
    release(exchange);
  }
  interlay_.leave(*this);
}

bool RedisSession::accept(uv_stream_t* listener) {
  if (!client_.accept(listener)) return false;
  interlay_.place(*this);
  route_ = newest_route();
  session_bucket_ = bucket_of(client_.peer_name());
  if (interlay_.counters().sessions_open.get() > settings().clients_max) {
    counters().hit(Limit::ClientsMax);
    if (route_->tls) return false;  // a handshake is what it would cost to say more
    client_.write_copy("-ERR max number of clients reached\r\n");
    client_.flush();
    return false;
  }
  begin_event();
  if (route_->tls) return secure_client();
  enter();
  return true;
}

void RedisSession::enter() {
  reach(upstream(home_side()), Interlay::Use::Needed);
  client_.read_start();
}

void RedisSession::begin_event() { now_ns_ = uv_hrtime(); }

void RedisSession::on_bytes(std::string_view bytes) {
  begin_event();
  counters().client_in.add(bytes.size());
  if (quit_) return;
  if (raw_) {
    send_raw(bytes);
  } else if (!partial_) {
    consume(bytes, loop().cutter());
  } else {
    partial_->bytes.append(bytes);
    if (!stalled_ && !paced_ && partial_->bytes.size() >= partial_->wanted) {
      consume(partial_->bytes, partial_->cutter);
    }
  }
  flush();
  end_event();
  request_cost_ns_ = uv_hrtime() - now_ns_;
}

void RedisSession::consume(std::string_view bytes, RequestCutter& cutter) {
  std::size_t at = 0;
  std::size_t wanted = 0;
  while (at < bytes.size()) {
    const std::string_view rest = bytes.substr(at);
    if (syncing_) {
      stalled_ = true;
      break;
    }
    if (streaming_) {
      at += stream_on(rest);
      if (raw_) return drop_partial();
      continue;
    }
    const Cut cut = cutter.advance(rest);
    if (const auto* request = std::get_if<Request>(&cut)) {
      if (second_writes_ >= kPaceAbove) {
        paced_ = true;
        break;
      }
      if (cutter.arg_count() > 0) {
        const std::string_view message = rest.substr(0, request->size);
        Pending pending;
        pending.facts = *facts_of(*route_->commands, cutter, message, true);
        pending.bytes = message;
        if (handle(std::move(pending), cutter) == Handled::Stall) {
          stalled_ = true;
          break;
        }
      }
      if (cutter.arg_count() == 0 && reply_mode_ == ReplyMode::SkipNext) {
        upstream(anchor()).send(rest.substr(0, request->size));  // it uses the SKIP up
        reply_mode_ = ReplyMode::On;
        unpin_if_free();
      }
      at += request->size;
      cutter.reset();
      if (quit_) return drop_partial();
      if (raw_) {
        send_raw(bytes.substr(at));
        return drop_partial();
      }
      continue;
    }
    if (const auto* more = std::get_if<NeedMore>(&cut)) {
      if (try_streaming(rest, cutter)) {
        cutter.reset();
        at = bytes.size();
        break;
      }
      if (raw_) {
        cutter.reset();
        return drop_partial();
      }
      if (stalled_) break;
      if (rest.size() > settings().request_head_max) {
        // Too much to keep for a plan: refused, as the rest of it cannot be told from what follows
        // it.
        counters().hit(Limit::RequestHeadMax);
        cutter.reset();
        refuse(
            "-ERR crossfade: request_head_max reached: the keys of this request come too late in "
            "it\r\n");
        close_when_answered_ = quit_ = true;
        return drop_partial();
      }
      wanted = std::min(rest.size() + more->at_least, settings().request_head_max + std::size_t{1});
      break;
    }
    if (attempts_ > 0) {  // nothing is sent behind a blocking dual write
      stalled_ = true;
      break;
    }
    counters().protocol_errors.add();
    cutter.reset();
    go_raw(rest, Handed::Malformed);
    return drop_partial();
  }
  keep(bytes.substr(at), cutter, wanted);
}

// Streams may hold views into the bytes of the partial request until they are flushed.
void RedisSession::drop_partial() {
  flush();
  partial_.reset();
}

// Keeps what cannot be handled yet. After a stall the request is cut anew, from its first byte.
void RedisSession::keep(std::string_view rest, RequestCutter& cutter, std::size_t wanted) {
  flush();  // views into the bytes that are about to move
  if (stalled_ || paced_) cutter.reset();
  if (rest.empty()) {
    cutter.reset();
    return drop_partial();
  }
  if (partial_) {
    partial_->bytes.erase(0, partial_->bytes.size() - rest.size());
  } else {
    partial_ = std::make_unique<Partial>();
    partial_->bytes.assign(rest);
    std::swap(partial_->cutter, cutter);
    cutter.reset();
  }
  partial_->wanted = wanted;
}

// Forwards the next bytes of a big request; returns how many of them were its.
std::size_t RedisSession::stream_on(std::string_view bytes) {
  const RequestTail::Step step = streaming_->tail.advance(bytes);
  const std::string_view part = bytes.substr(0, step.consumed);
  if (streaming_->answer) {
    upstream(streaming_->answer_side).send(part);
    counters().server_out.add(part.size());
  }
  if (streaming_->second) {
    Upstream& up = upstream(other(streaming_->answer_side));
    if (overfills(up, part.size())) {
      streaming_->second = false;  // half a request cannot be taken back: only its connection can
      lose(up, Drop::Overflow, "its copy was too big to keep", std::nullopt);
    } else {
      up.send(part);
      counters().server_out.add(part.size());
    }
  }
  if (step.broken) {
    const bool answer = streaming_->answer;
    Upstream& answers = upstream(streaming_->answer_side);
    if (streaming_->second) {
      lose(upstream(other(streaming_->answer_side)), Drop::ConnectionLost, "malformed request",
           std::nullopt);
    }
    streaming_.reset();
    counters().protocol_errors.add();
    if (answer && answers.side() == anchor()) {
      go_raw(bytes.substr(step.consumed), Handed::Malformed);
    } else {
      if (answer) lose(answers, Drop::ConnectionLost, "malformed request", std::nullopt);
      close_when_answered_ = quit_ = true;
    }
    return bytes.size();
  }
  if (step.done) {
    streamed_dual();
    streaming_.reset();
  }
  return step.consumed;
}

// Begins to forward a request whose big argument has only begun to arrive. False: wait for more of
// it, unless the bytes were handed over raw or must wait for an answer (then stalled_).
bool RedisSession::try_streaming(std::string_view bytes, const RequestCutter& cutter) {
  const bool big = cutter.open_bulk_size() > kStreamAbove;
  if (!big && cutter.declared_args() <= kUnauthenticatedArgs) return false;
  // The server refuses much from clients it does not know yet, as soon as it sees how much.
  if (reply_mode_ == ReplyMode::On && entered_ != Entered::Yes && !transaction_.open()) {
    if (ask_entry() == Handled::Stall) {
      stalled_ = true;
      return false;
    }
    if (entered_ == Entered::No) {
      go_raw(bytes, Handed::Alive);
      return false;
    }
  }
  if (!big) return false;
  if (!refresh_route()) {  // before it is planned: afterwards the table stays until its end
    stalled_ = true;
    return false;
  }
  if (cutter.arg_count() == 0) {  // no command has such a name: the server will say so
    go_raw(bytes, Handed::Alive);
    return false;
  }
  std::optional<RequestFacts> facts = facts_of(*route_->commands, cutter, bytes, false);
  const bool dual = route_->authority().has_value();
  // A write to both sides had better know its keys, but not at any price.
  if (!facts && dual && bytes.size() < settings().request_head_max / 2) return false;
  if (!facts && !(route_->strategy && splits_writes(*route_->strategy))) {
    // Its keys come late, and no split needs them: reads can stay at home.
    facts = command_facts_of(*route_->commands, cutter, bytes);
    if (facts) facts->sided = facts->kind == Kind::Read;
  }
  if (!facts || facts->effect != Effect::None) return false;
  // What is written anew is needed whole.
  if (route_->api_keys && route_->api_keys->in_other_form(*facts, cutter, bytes)) return false;
  const auto arrived = static_cast<std::int64_t>(bytes.size() - cutter.open_bulk_offset());
  const std::int64_t args_left =
      cutter.declared_args() - static_cast<std::int64_t>(cutter.arg_count());
  Pending pending;
  pending.facts = *facts;
  pending.bytes = bytes;
  pending.whole = false;
  streaming_.emplace(Streaming{RequestTail(args_left, cutter.open_bulk_size() + 2 - arrived), true,
                               true, Side::Old});
  if (handle(std::move(pending), cutter) == Handled::Stall) {
    streaming_.reset();
    stalled_ = true;
    return false;
  }
  return true;
}

// Everything before has been answered: what waited goes on.
void RedisSession::resume() {
  stalled_ = paced_ = false;
  if (partial_ && !raw_) {
    consume(partial_->bytes, partial_->cutter);
    flush();
  }
  if (client_ended_ && !stalled_ && !paced_) finish_upstreams();
}

void RedisSession::on_end(int status) {
  begin_event();
  client_ended_ = true;
  ended_at_ns_ = now_ns_;
  loop().mark_busy(*this);
  if (status != UV_EOF) {
    client_.close();
    if (stalled_ && waits_for_blocked()) forget_waiting();
  }
  if (upstream(anchor()).state() == Upstream::State::Idle) close_when_answered_ = true;
  if (!stalled_ && !paced_) finish_upstreams();
  end_event();
}

// A server forgets what stands behind a blocked command when its client has gone.
void RedisSession::forget_waiting() {
  give_back_next();
  stalled_ = false;
  drop_partial();
}

// The servers see the end where the client put it.
void RedisSession::finish_upstreams() {
  upstream(anchor()).finish();
  Upstream& beside = upstream(other(anchor()));
  if (streams_to(beside)) beside.finish();  // nothing else can end half a request
  if (blocking_ > 0 && blocking_side_ != anchor()) upstream(blocking_side_).finish();
}

void RedisSession::on_room() {
  begin_event();
  end_event();
}

void RedisSession::on_upstream_room() {
  begin_event();
  end_event();
}

void RedisSession::flush() {
  old_.stream().flush();
  new_.stream().flush();
  client_.flush();
}

// The end of every event: losses noticed in its course, waiting requests, closing, reading on or
// not.
void RedisSession::end_event() {
  for (Upstream* up : {&old_, &new_}) {
    if (std::exchange(loss_noticed_[static_cast<std::size_t>(up->side())], false)) {
      on_lost(*up, up->refusal());
    }
  }
  if ((stalled_ && queue_.empty() && entered_ != Entered::Asking) ||
      (paced_ && second_writes_ <= kPaceBelow)) {
    // What waited for a judge that went away enters unasked, or gets its error; what comes later
    // may ask again.
    const bool lost = std::exchange(probe_lost_, false) && !home_lost_;
    bool& way_on = may_enter_unasked() ? unasked_ : home_lost_;
    if (lost) way_on = true;
    resume();
    if (lost) way_on = false;
  }
  if (home_lost_ && stalled_ && partial_) resume();  // every request still gets its error
  flush();
  if (draining_ && safe_point()) close_when_answered_ = true;
  if (left_behind_at_ns_ != 0 && !close_when_answered_) end_left_behind();
  const bool asking = stalled_ && entered_ == Entered::Asking;  // what waits may yet be sent
  if (close_when_answered_ && queue_.empty() && !asking && client_.open()) close_client();
  if (stays_ || route_ != newest_route()) show_stay(stays());
  update_reading();
  finish_if_done();
}

void RedisSession::close_client() {
  client_ended_ = true;
  if (ended_at_ns_ == 0) ended_at_ns_ = now_ns_;
  client_.read_stop();
  client_.close_when_sent();
  loop().mark_busy(*this);
}

bool RedisSession::safe_point() const {
  return queue_.empty() && !transaction_.open() && !streaming_ && !stalled_ && !paced_ && !raw_;
}

void RedisSession::drain() {
  draining_ = true;
  begin_event();
  // A subscriber has nothing running that could be lost; a blocked client may still be served.
  if (subscriptions_.any() || monitoring_ || raw_) close_when_answered_ = true;
  if (safe_point()) close_when_answered_ = true;
  loop().mark_busy(*this);
  end_event();
}

void RedisSession::abort() {
  client_.close();
  loop().kill(*this);
}

void RedisSession::finish_if_done() {
  // What has arrived is run, as a server would have done by now, though nobody waits for it.
  if (client_.open() || (stalled_ && partial_)) return;
  for (Upstream* up : {&old_, &new_}) {
    // Its own end says that what was written in silence has run.
    const bool silent = silent_ && up->side() == silent_side_;
    if (up->state() != Upstream::State::Idle && up->idle() && !silent) up->close();
  }
  if (old_.state() == Upstream::State::Idle && new_.state() == Upstream::State::Idle) {
    loop().kill(*this);
  }
}

}  // namespace crossfade::redis
