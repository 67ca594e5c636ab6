// An open transaction: what is queued in it, which side has it, and what its end does.
#include <algorithm>
#include <string>
#include <utility>

#include "protocols/redis/word.h"
#include "proxy/loop.h"
#include "proxy/redis/session.h"

namespace crossfade::redis {

namespace {

constexpr std::string_view kAborted =
    "-EXECABORT Transaction discarded because of previous errors.\r\n";
constexpr std::string_view kMoved =
    "-EXECABORT Transaction discarded because of: crossfade: its keys have moved to another server "
    "meanwhile, try again\r\n";

}  // namespace

// ACK and GETACK are a replica's talk: servers answer nothing, unless what stands before is
// refused.
bool RedisSession::may_stay_unanswered(const RequestCutter& replconf, std::string_view bytes) {
  for (std::size_t option = 1; option < replconf.arg_count(); option += 2) {
    const std::string_view name = replconf.arg(option, bytes);
    if (is_word(name, "ACK") || is_word(name, "GETACK")) return true;
  }
  return false;
}

void RedisSession::in_transaction(Pending& request, const RequestCutter& cutter) {
  const Effect effect = request.facts.effect;
  if (effect == Effect::Exec || effect == Effect::Discard || effect == Effect::Reset) {
    return end_transaction(request);
  }
  if (effect == Effect::Quit) quit_ = expect_close_ = true;
  add_keys(request, cutter);
  if (transaction_.phase == Transaction::Phase::Undecided && request.facts.key_count > 0) {
    if (!decide_transaction(request, cutter)) return;
  } else if (transaction_.phase == Transaction::Phase::Open && request.facts.key_count > 0 &&
             route_->strategy && splits_writes(*route_->strategy)) {
    const Plan wanted = plan_write(*route_, request, cutter);
    if (wanted.split || wanted.answer != *pin_) {
      transaction_.poisoned = true;
      counters().refused_split.add();
      return refuse(
          "-ERR crossfade: this transaction's keys lie on both sides of the write split\r\n");
    }
  }
  // Queued: it takes effect with EXEC, and nothing blocks inside of a transaction.
  if (effect != Effect::Multi && effect != Effect::Watch) {
    if (auto change = change_of(request.facts, cutter, request.bytes)) {
      if (!transaction_.change) transaction_.change.emplace();
      transaction_.change->then(*change);
    }
    if (effect == Effect::Subscribe || effect == Effect::Psubscribe ||
        effect == Effect::Ssubscribe) {
      transaction_.subscribes = true;
    }
    if (effect == Effect::Unsubscribe || effect == Effect::Punsubscribe ||
        effect == Effect::Sunsubscribe) {
      transaction_.unsubscribes = true;
    }
    if (effect == Effect::ClientReply && cutter.arg_count() == 3 &&
        !is_word(cutter.arg(2, request.bytes), "ON")) {
      transaction_.silences = true;
    }
    if (effect == Effect::ReplConf && may_stay_unanswered(cutter, request.bytes)) {
      transaction_.silences = true;
    }
  }
  request.facts.effect = Effect::None;
  request.facts.blocks = false;
  request.plan = Plan{.answer = *pin_};
  // MULTI and WATCH are refused here, and the transaction goes on without them.
  const bool refused = effect == Effect::Multi || effect == Effect::Watch;
  if (transaction_.dual && !refused) record_queued(request, cutter);
  if (transaction_.second) request.plan.second = transaction_.sort;
  if (transaction_.phase == Transaction::Phase::Undecided) {
    if (!request.whole ||
        transaction_.queued.size() + request.bytes.size() > settings().request_head_max) {
      transaction_.poisoned = true;
      counters().hit(Limit::RequestHeadMax);
      return refuse(
          "-ERR crossfade: request_head_max reached: too much before the first key of this "
          "transaction\r\n");
    }
    transaction_.queued.append(request.bytes);
    ++transaction_.queued_count;
  }
  if (refuse_foreign(request)) {
    transaction_.poisoned = true;
    return;
  }
  if (!dispatch(request)) transaction_.poisoned = true;
  if (transaction_.second && !second_sent_) {
    // The other side must not run a transaction with a hole in it: its connection is given up,
    // which discards it there.
    transaction_.second = false;
    lose(upstream(other(*pin_)), Drop::ConnectionLost, "its transaction was incomplete",
         std::nullopt);
  }
}

void RedisSession::add_keys(Pending& request, const RequestCutter& cutter) {
  if (request.facts.key_count == 0) return;
  const Buckets keys = buckets_of(*route_, request, cutter);
  request.api = keys.api;
  kept_keys_.low = std::min(kept_keys_.low, keys.low);
  kept_keys_.high = std::max(kept_keys_.high, keys.high);
}

// Moves an undecided transaction to the side of its first key. False: refused and answered.
bool RedisSession::decide_transaction(const Pending& request, const RequestCutter& cutter) {
  const Plan wanted = plan_write(*route_, request, cutter);
  transaction_.phase = Transaction::Phase::Open;
  if (wanted.split) {
    transaction_.poisoned = true;
    counters().refused_split.add();
    refuse("-ERR crossfade: the keys of this command lie on both sides of the write split\r\n");
    return false;
  }
  if (wanted.answer == *pin_) return true;
  Upstream& to = upstream(wanted.answer);
  if (entered_ == Entered::No || !reach(to, Interlay::Use::Needed)) {
    transaction_.poisoned = true;
    unreachable(wanted.answer);
    return false;
  }
  send_internal(upstream(*pin_), kDiscard, 1);
  bring_up_to_date(to);
  send_internal(to, std::string(kMulti) + transaction_.queued, 1 + transaction_.queued_count);
  transaction_.queued.clear();
  pin_ = wanted.answer;
  return true;
}

// EXEC, DISCARD and RESET.
void RedisSession::end_transaction(Pending& request) {
  const bool moved = watch_failed_ || lost_its_side();
  const bool watched = watch_failed_ || watches_ > 0;
  const Transaction ended = std::exchange(transaction_, Transaction{});
  const Side side = *pin_;
  request.plan = Plan{.answer = side};
  if (request.facts.effect == Effect::Reset) {
    if (ended.second) send_internal(upstream(other(side)), kDiscard, 1);
    give_back(std::exchange(transaction_write_, nullptr));
    end_watch();
    reply_mode_ = ReplyMode::On;
    request.change = std::make_unique<StateChange>();
    request.change->reset = true;
    dispatch(request);
    return;
  }
  end_watch();
  const bool runs = request.facts.effect == Effect::Exec;
  if (runs && (ended.poisoned || moved)) {
    discard(ended, side);
    if (ended.poisoned) {
      refuse(kAborted);
    } else {
      counters().refused_moved.add();
      end_if_silent();
      const std::string_view null = state_.resp == 3 ? "_\r\n" : "*-1\r\n";
      refuse(watched ? null : kMoved);
    }
    unpin_if_free();
    return;
  }
  if (runs && ended.dual) {
    next_write_ = std::exchange(transaction_write_, nullptr);
    request.plan.second = Second::Write;
  } else {
    give_back(std::exchange(transaction_write_, nullptr));
  }
  // Silenced in the middle of an array: only the server knows what it will send from here on.
  // Where there are second legs, they are worth more than an exact end of such a session.
  if (runs && ended.silences && !ended.second && !ended.dual) {
    counters().new_only_writes.add(ended.writes);
    return go_raw(request.bytes, Handed::Alive);
  }
  if (ended.second) request.plan.second = ended.sort;
  if (runs) {
    if (ended.change) {
      request.change = std::make_unique<StateChange>(*ended.change);
      request.change->login.reset();
      tied_ = true;  // whether it succeeded stands deep in the reply: it stays with this server
    }
    // A subscriber is not asked anything, who is silent does not answer, and where the end of
    // EXEC's reply is not known, what follows it must not be ours.
    if (next_write_ && (ended.subscribes || ended.unsubscribes || ended.silences)) {
      next_write_->cannot = true;
    }
    if (ended.subscribes) {
      tied_ = true;
      upstream(side).expects_messages = true;
    }
  }
  const bool sent = dispatch(request);
  if (sent && runs && !ended.dual && !ended.second) counters().new_only_writes.add(ended.writes);
  if (ended.second && !second_sent_) {
    lose(upstream(other(side)), Drop::ConnectionLost, "its transaction was incomplete",
         std::nullopt);
  }
  unpin_if_free();
}

// Its EXEC is not to run it.
void RedisSession::discard(const Transaction& ended, Side side) {
  give_back(std::exchange(transaction_write_, nullptr));
  if (reply_mode_ == ReplyMode::Off) {
    upstream(side).send_copy(kDiscard);  // nobody will say that it is
  } else {
    send_internal(upstream(side), kDiscard, 1);
  }
  if (ended.second) send_internal(upstream(other(side)), kDiscard, 1);
}

}  // namespace crossfade::redis
