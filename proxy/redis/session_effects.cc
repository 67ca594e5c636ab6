// What commands do to their session: connection state, and the pins that keep a session on one side
// until a safe point.
#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "protocols/redis/word.h"
#include "proxy/loop.h"
#include "proxy/redis/session.h"

namespace crossfade::redis {

namespace {

constexpr const char* kReloaded =
    "a server was told to take its data anew, from its disk or another server (DEBUG RELOAD, "
    "LOADAOF, REPLICAOF, FAILOVER)";

// In `frames` of a CLIENT TRACKING exchange: an ON from off, an ON while on; 0 is OFF.
constexpr std::int32_t kTrackingBegun = 1;
constexpr std::int32_t kTrackingKept = 2;

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// REPLICAOF NO ONE: the server keeps the data that it has.
bool is_promotion(const RequestCutter& cutter, std::string_view bytes) {
  return cutter.arg_count() == 3 && is_word(cutter.arg(1, bytes), "NO") &&
         is_word(cutter.arg(2, bytes), "ONE");
}

}  // namespace

// What the request does to the session as soon as it is on its way, and what its answer will do.
void RedisSession::begin_effect(Pending& request, const RequestCutter& cutter) {
  const Effect effect = request.facts.effect;
  if (scans_keyspace(request.facts) && request.facts.cursor_starts)
    scan_side_ = request.plan.answer;
  if (effect == Effect::None) {
    dispatch(request);
    return;
  }
  request.change = change_of(request.facts, cutter, request.bytes);
  const bool was_pinned = pin_.has_value();
  switch (effect) {
    case Effect::Multi:
      if (watches_ == 0) kept_keys_ = kNoKeys;
      if (route_->strategy && splits_writes(*route_->strategy) && watches_ == 0) {
        request.plan = Plan{.answer = anchor()};
        transaction_.phase = Transaction::Phase::Undecided;
      } else {
        transaction_.phase = Transaction::Phase::Open;
      }
      pin(request.plan.answer);
      if (request.plan.second == Second::Write && route_->authority()) {
        transaction_.dual = true;
        request.plan.second = Second::Nothing;
        transaction_write_ = begin_dual_write();
      }
      transaction_.sort = request.plan.second;
      if (dispatch(request)) {
        if (!was_pinned) pin_ = request.plan.answer;  // best_effort may have chosen the other side
        transaction_.second = second_sent_;
      } else {
        give_back(std::exchange(transaction_write_, nullptr));
        // What follows must not run as if there had been no MULTI: the connection ends behind the
        // error.
        transaction_ = Transaction{};
        unpin_if_free();
        home_lost_ = close_when_answered_ = true;
      }
      return;
    case Effect::Watch:
      // The side that answers judges it: the other one gets only what has been run.
      if (route_->authority()) {
        request.plan.second = Second::Nothing;
      }
      if (watches_ == 0) kept_keys_ = kNoKeys;
      add_keys(request, cutter);
      ++watches_;
      request.frames = watch_round_;
      pin(request.plan.answer);
      break;
    case Effect::Unwatch:
      if (route_->authority()) {
        request.plan.second = Second::Nothing;
      }
      end_watch();
      break;
    case Effect::Subscribe:
    case Effect::Psubscribe:
    case Effect::Ssubscribe:
    case Effect::Unsubscribe:
    case Effect::Punsubscribe:
    case Effect::Sunsubscribe: {
      const bool leaves = effect == Effect::Unsubscribe || effect == Effect::Punsubscribe ||
                          effect == Effect::Sunsubscribe;
      const auto channels = static_cast<std::int32_t>(cutter.arg_count()) - 1;
      if (channels > 0 || leaves) {
        request.form = Exchange::Form::PubSub;
        request.frames = channels > 0 ? channels : -1;
        pin(request.plan.answer);
        upstream(request.plan.answer).expects_messages = true;
        const bool matters = !leaves || subscriptions_.any() || silent_due_ > 0;
        if (reply_mode_ != ReplyMode::On && matters) {
          silent_due_ += channels > 0 ? channels : confirmations_due(effect);
        }
      }
      break;
    }
    case Effect::Monitor:
      pin(request.plan.answer);
      monitoring_ = true;
      break;
    case Effect::Sync:
      return begin_sync(request.bytes);
    case Effect::ReplConf:
      // Only the server knows whether it answers. Strangers it refuses, in any case.
      if (reply_mode_ == ReplyMode::On && entered_ != Entered::No &&
          may_stay_unanswered(cutter, request.bytes)) {
        return go_raw(request.bytes, Handed::Alive);
      }
      break;
    case Effect::Reset: {
      // RESET goes to the session's own side alone; what the other one watches for it is undone
      // apart.
      Upstream& beside = upstream(other(anchor()));
      if (watches_ > 0 && beside.state() != Upstream::State::Idle) {
        send_internal(beside, kUnwatch, 1);
      }
      end_watch();
      if (reply_mode_ == ReplyMode::Off) reply_mode_ = ReplyMode::On;  // a SKIP still skips it
      break;
    }
    case Effect::Quit:
      quit_ = expect_close_ = true;
      break;
    case Effect::Closes:
      expect_close_ = true;
      break;
    case Effect::ClientReply:
      if (client_reply(request, cutter)) return;
      break;
    case Effect::ClientTracking:
      if (cutter.arg_count() > 2 && is_word(cutter.arg(2, request.bytes), "ON")) {
        request.frames = tracking_ ? kTrackingKept : kTrackingBegun;
        tracking_ = true;
        pin(request.plan.answer);
      }
      break;
    case Effect::None:
    case Effect::Exec:
    case Effect::Discard:
    case Effect::Hello:
    case Effect::Auth:
    case Effect::Select:
    case Effect::ClientSetName:
      break;
    case Effect::Reloads:
      if (is_promotion(cutter, request.bytes)) {
        request.facts.effect = Effect::None;
      } else if (reply_mode_ != ReplyMode::On) {
        mark(kReloaded);
      }
      break;
  }
  if (dispatch(request)) {
    if (effect == Effect::Watch && !was_pinned) pin_ = request.plan.answer;
    return;
  }
  // It reached no server: nothing that it would have begun has begun.
  if (effect == Effect::Watch) --watches_;
  if (effect == Effect::Monitor) monitoring_ = false;
  if (effect == Effect::Quit) close_when_answered_ = true;
  if (request.frames == kTrackingBegun && effect == Effect::ClientTracking) tracking_ = false;
  if (pin_) unpin_if_free();
}

// CLIENT REPLY ON answers, OFF and SKIP do not. False: malformed, an ordinary request.
//
// To a RESP2 subscriber ON is refused, and without a word. Before its SUBSCRIBEs are confirmed it
// cannot be told whether they will be: from there on the bytes are the server's affair.
bool RedisSession::client_reply(Pending& request, const RequestCutter& cutter) {
  if (cutter.arg_count() != 3 || (reply_mode_ == ReplyMode::On && refuses_subscriber())) {
    request.facts.effect = Effect::None;  // the server will refuse it
    return false;
  }
  const std::string_view mode = cutter.arg(2, request.bytes);
  if (is_word(mode, "ON")) {
    if (state_.resp == 2 && silent_due_ > 0) {
      go_raw(request.bytes, Handed::Alive);
      return true;
    }
    if (refuses_subscriber()) {
      send_silently(request);
      return true;
    }
    reply_mode_ = ReplyMode::On;
    unpin_if_free();
    return false;
  }
  const bool off = is_word(mode, "OFF");
  if (!off && !is_word(mode, "SKIP")) {
    request.facts.effect = Effect::None;
    return false;
  }
  if (off) {
    reply_mode_ = ReplyMode::Off;
  } else if (reply_mode_ == ReplyMode::On) {
    reply_mode_ = ReplyMode::SkipNext;
  }
  pin(request.plan.answer);  // only this connection is silent
  send_silently(request);
  return true;
}

void RedisSession::pin(Side side) {
  if (!pin_) pin_ = side;
}

void RedisSession::unpin_if_free() {
  if (transaction_.open() || watches_ > 0 || subscriptions_.any() || subscribing_ > 0 ||
      silent_due_ > 0 || monitoring_ || tracking_ || tied_ || reply_mode_ != ReplyMode::On) {
    return;
  }
  pin_.reset();
}

std::unique_ptr<StateChange> RedisSession::change_of(const RequestFacts& facts,
                                                     const RequestCutter& cutter,
                                                     std::string_view bytes) const {
  const std::size_t count = cutter.arg_count();
  StateChange change;
  switch (facts.effect) {
    case Effect::Select:
      if (count != 2) return nullptr;
      change.db = number(cutter.arg(1, bytes));
      if (!change.db) return nullptr;
      break;
    case Effect::Auth:
      if (count == 2) {
        change.login = Credentials{"", std::string(cutter.arg(1, bytes))};
      } else if (count == 3) {
        change.login =
            Credentials{std::string(cutter.arg(1, bytes)), std::string(cutter.arg(2, bytes))};
      } else {
        return nullptr;
      }
      break;
    case Effect::Hello:
      if (count < 2) return nullptr;  // only asks
      if (const auto version = number(cutter.arg(1, bytes)))
        change.resp = static_cast<int>(*version);
      for (std::size_t i = 2; i < count; ++i) {
        if (is_word(cutter.arg(i, bytes), "AUTH") && i + 2 < count) {
          change.login = Credentials{std::string(cutter.arg(i + 1, bytes)),
                                     std::string(cutter.arg(i + 2, bytes))};
          i += 2;
        } else if (is_word(cutter.arg(i, bytes), "SETNAME") && i + 1 < count) {
          change.name = std::string(cutter.arg(i + 1, bytes));
          i += 1;
        }
      }
      break;
    case Effect::ClientSetName:
      if (count != 3) return nullptr;
      change.name = std::string(cutter.arg(2, bytes));
      break;
    case Effect::Reset:
      change.reset = true;
      break;
    case Effect::None:
    case Effect::Multi:
    case Effect::Exec:
    case Effect::Discard:
    case Effect::Watch:
    case Effect::Unwatch:
    case Effect::Subscribe:
    case Effect::Psubscribe:
    case Effect::Ssubscribe:
    case Effect::Unsubscribe:
    case Effect::Punsubscribe:
    case Effect::Sunsubscribe:
    case Effect::Monitor:
    case Effect::Sync:
    case Effect::ReplConf:
    case Effect::Quit:
    case Effect::ClientReply:
    case Effect::ClientTracking:
    case Effect::Closes:
    case Effect::Reloads:
      return nullptr;
  }
  return std::make_unique<StateChange>(std::move(change));
}

// The answer to a request that means something to the session is complete.
void RedisSession::after_answer(Upstream& up, Exchange& exchange, bool error) {
  if (exchange.blocks) {
    --blocking_;
    if (exchange.dual) --attempts_;
  }
  if (exchange.change) {
    --state_pending_;
    if (!error) set_state(*exchange.change, up);
  }
  switch (exchange.effect) {
    case Effect::Multi:
      if (error) {
        end_second_transaction();
        give_back(std::exchange(transaction_write_, nullptr));
        transaction_ = Transaction{};
      }
      break;
    case Effect::Subscribe:
    case Effect::Psubscribe:
    case Effect::Ssubscribe:
    case Effect::Unsubscribe:
    case Effect::Punsubscribe:
    case Effect::Sunsubscribe:
      if (exchange.form == Exchange::Form::PubSub && subscribing_ > 0) --subscribing_;
      if (subscribing_ == 0 && !subscriptions_.any() && !tied_) up.expects_messages = false;
      break;
    case Effect::Watch:
      if (error && exchange.frames == watch_round_ && watches_ > 0) --watches_;
      break;
    case Effect::Monitor:
      if (error) {
        monitoring_ = false;
      } else {
        up.monitoring = true;
      }
      break;
    case Effect::ClientTracking:
      // Off after an OFF that succeeded, and after an ON that was refused when it was off before.
      if (error ? exchange.frames == kTrackingBegun : exchange.frames == 0) tracking_ = false;
      break;
    case Effect::None:
    case Effect::Exec:
    case Effect::Discard:
    case Effect::Unwatch:
    case Effect::Sync:
    case Effect::ReplConf:
    case Effect::Hello:
    case Effect::Auth:
    case Effect::Select:
    case Effect::Quit:
    case Effect::ClientReply:
    case Effect::ClientSetName:
    case Effect::Closes:
      break;
    case Effect::Reset:
      --resetting_;
      break;
    case Effect::Reloads:
      if (!error) mark(kReloaded);
      break;
  }
  if (exchange.is_repeatable) {
    exchange.is_repeatable = false;
    if (--repeatable_ == 0) repeatable_keys_ = 0;
  }
  if (pin_) unpin_if_free();
}

// The server of `up` has taken a change of the connection's state: the session has it from now on.
void RedisSession::set_state(const StateChange& change, Upstream& up) {
  if (change.reset) forget_state();
  apply(change, state_);
  ++state_version_;
  const std::optional<std::uint32_t> db = up.applied.db;
  up.applied = state_;
  if (!state_.db && !change.reset) up.applied.db = db;
  up.applied_version = state_version_;
  if (change.login) entered_ = Entered::Yes;
  if (change.reset) {
    up.monitoring = up.expects_messages = false;
    if (up.address().db != 0) up.applied_version = 0;  // its own default is to be selected again
  }
}

// The other side's MULTI is undone where the answering side's did not come about.
void RedisSession::end_second_transaction() {
  if (!transaction_.open() || !transaction_.second || !pin_) return;
  Upstream& beside = upstream(other(*pin_));
  if (beside.state() != Upstream::State::Idle) send_internal(beside, kDiscard, 1);
}

// Nothing ties the session to a side any more.
void RedisSession::forget_state() {
  end_second_transaction();
  give_back(std::exchange(transaction_write_, nullptr));
  transaction_ = Transaction{};
  subscriptions_.clear();
  end_watch();
  tracking_ = monitoring_ = tied_ = false;
  silent_due_ = 0;
  entered_ = Entered::Unknown;
  pin_.reset();
}

}  // namespace crossfade::redis
