// From the servers' replies to the client, in the order of its requests; and what becomes of the
// legs that do not answer, or never will.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "protocols/redis/reply_view.h"
#include "proxy/loop.h"
#include "proxy/redis/session.h"

namespace crossfade::redis {

namespace {
// A dual write's second reply is kept this far, in case best_effort needs it.
constexpr std::size_t kSpareMax = 64 * 1024;
// A lost run of plain requests gets this many error replies when the connection closes behind them.
constexpr std::uint32_t kErrorsMax = 65'536;

// Errors of a server that can answer nobody just now.
bool is_unwell(std::string_view reply) {
  for (const char* word : {"-LOADING ", "-MASTERDOWN ", "-BUSY ", "-CLUSTERDOWN ",
                           "-ERR max number of clients reached"}) {
    if (reply.starts_with(word)) return true;
  }
  return false;
}

}  // namespace

void RedisSession::on_reply(Upstream& up, Exchange& exchange, std::string_view bytes,
                            std::uint32_t complete, std::uint32_t errors) {
  const auto side = static_cast<std::size_t>(up.side());
  // Who a connection is says nothing yet of what becomes of its requests.
  if (complete > 0 && !exchange.identity) {
    up.heard = true;
    interlay_.answer_succeeded(up.side(), now_ns_);
  }
  if (complete > 0) hear_behind_silence(up, exchange, complete);
  if (exchange.internal) return internal_bytes(up, exchange, bytes, complete, errors);
  // What blocks takes as long as its client wants it to: that says nothing of the server.
  if (complete > 0 && !exchange.blocks) {
    counters().leg[side].record(now_ns_ > exchange.sent_at_ns ? now_ns_ - exchange.sent_at_ns : 0,
                                complete);
  }
  if (exchange.answer != up.side()) {
    return second_bytes(up, exchange, bytes, complete > 0, errors > 0);
  }
  if (errors > 0) counters().errors[side].add(errors);
  if (exchange.writes > 0 && complete > errors) {
    const bool may_be_none = exchange.blocks || exchange.effect == Effect::Exec;
    if (!may_be_none || !up.null_reply()) note_late(exchange, complete - errors);
  }
  if (exchange.dual) return dual_answer(up, exchange, bytes, complete > 0, errors > 0);
  if (exchange.fallback && errors > 0 && !exchange.started && exchange.held.empty() &&
      is_unwell(bytes)) {
    up.owed().pop();
    retry_on_other_side(&exchange);
    return;
  }
  if (exchange.compare) note_reply(exchange, up.side(), bytes, complete > 0);
  answer_bytes(up, exchange, bytes);
  if (complete == 0) return;
  if (exchange.moves && up.null_reply()) {
    exchange.change.reset();
    --state_pending_;
  }
  answered_in_event_ += complete;
  if (exchange.relies) interlay_.known_suspects().over(complete);
  exchange.count -= complete;
  if (exchange.count == 0) {
    up.owed().pop();
    answer_complete(up, exchange, errors > 0);
  }
}

void RedisSession::answer_bytes(Upstream& up, Exchange& exchange, std::string_view bytes) {
  const bool inside_push = client_mid_push_ && up.side() != anchor();
  if (queue_.front() != &exchange || inside_push) return hold(exchange, bytes);
  if (exchange.either && !exchange.started && (!exchange.held.empty() || bytes[0] == '-')) {
    return hold(exchange, bytes);  // an error is the client's only if the other leg fails too
  }
  exchange.started = true;
  client_.write(bytes);
  counters().client_out.add(bytes.size());
  client_mid_frame_ = !up.at_boundary();
}

void RedisSession::hold(Exchange& exchange, std::string_view bytes) {
  exchange.held.append(bytes);
  reordered_ += bytes.size();
}

void RedisSession::write_held(Exchange& exchange) {
  if (exchange.held.empty()) return;
  client_.write_copy(exchange.held);
  counters().client_out.add(exchange.held.size());
  reordered_ -= exchange.held.size();
  exchange.held.clear();
  exchange.started = true;
  client_mid_frame_ = !exchange.answered && !upstream(exchange.answer).at_boundary();
}

void RedisSession::answer_complete(Upstream& up, Exchange& exchange, bool error) {
  // Only those who have entered get anything but errors from an ordinary command.
  if (entered_ == Entered::Unknown && !error && up.side() == anchor() &&
      (exchange.effect == Effect::None || exchange.effect == Effect::Multi)) {
    entered_ = Entered::Yes;
    if (state_.login.empty()) interlay_.set_open_door(up.side(), true);
  }
  bool strays = false;
  Upstream& beside = upstream(other(up.side()));
  if (exchange.special) {
    const auto side = static_cast<std::size_t>(up.side());
    exchange.replied[side] = true;
    exchange.failed[side] = error;
    if (exchange.former) mark(kFormer);  // what was verified since it was sent may have come first
    // It did not run here. There it may have, and the connection then has a state of its own.
    strays = !exchange.dual && exchange.moves && (error || up.null_reply()) &&
             ((exchange.owed & bit(beside.side())) != 0 || exchange.ran_beside);
    after_answer(up, exchange, error);
    if (exchange.effect == Effect::Closes && error) expect_close_ = quit_;
    if (exchange.compare) compare(exchange);
  }
  settle(exchange);
  if (strays) {
    lose(beside, Drop::ConnectionLost, "it may have run a transaction that was not to run",
         std::nullopt);
  }
}

// The answering leg is over: the exchange is answered, unless best_effort still hopes for the other
// leg.
void RedisSession::settle(Exchange& exchange) {
  if (exchange.dual) return advance(exchange);
  const auto answer = static_cast<std::size_t>(exchange.answer);
  const auto beside = static_cast<std::size_t>(other(exchange.answer));
  if (exchange.either && exchange.failed[answer] && !exchange.started) {
    if ((exchange.owed & bit(other(exchange.answer))) != 0) return;
    const bool forbidden =  // rights are old's to give, not new's
        exchange.held.starts_with("-NOPERM") || exchange.held.starts_with("-NOAUTH");
    if (!forbidden && exchange.replied[beside] && !exchange.failed[beside] &&
        !exchange.spare.empty()) {
      reordered_ -= exchange.held.size();
      exchange.held.clear();
      hold(exchange, std::exchange(exchange.spare, std::string()));
    }
  }
  exchange.answered = true;
  pump();
}

// Sends what has its turn.
void RedisSession::pump() {
  if (client_mid_push_) return;
  while (Exchange* front = queue_.front()) {
    const bool may_fail = front->either && !front->answered && !front->started &&
                          (front->held.empty() || front->held[0] == '-');
    if (!may_fail && !front->dual) write_held(*front);
    if (!front->answered) return;
    release(queue_.pop());
    client_mid_frame_ = false;
    if (!held_pushes_.empty()) {
      client_.write_copy(held_pushes_);
      counters().client_out.add(held_pushes_.size());
      held_pushes_.clear();
    }
  }
}

void RedisSession::release(Exchange* exchange) {
  if (exchange->queued || exchange->owed != 0 || (exchange->dual && !exchange->internal)) return;
  drop_pair(*exchange);
  loop().exchanges().put(exchange);
}

void RedisSession::second_bytes(Upstream& up, Exchange& exchange, std::string_view bytes,
                                bool complete, bool error) {
  const auto side = static_cast<std::size_t>(up.side());
  // Of several replies one is the write's own: where it began at once, the first.
  DualWrite* const dual = exchange.dual;
  const bool has_rest = dual && dual->starts_at_once() && dual->has_rest();
  const std::uint32_t behind = dual ? dual->behind : 0;
  const bool is_own = has_rest ? !dual->own_seen : exchange.second_count == 1 + behind;
  if (exchange.compare && is_own) note_reply(exchange, up.side(), bytes, complete);
  if (exchange.either && is_own && !exchange.answered && !exchange.spare_lost) {
    exchange.spare.append(bytes);
    if (exchange.spare.size() > kSpareMax) {  // a part of it is of no use
      exchange.spare_lost = true;
      exchange.spare.clear();
    }
  }
  const bool of_transaction = dual && is_own && dual->way == DualWrite::Way::Transaction;
  if (of_transaction) dual->keep(dual->outcome, bytes, settings().copy_max);
  if (!complete) return;
  if (dual && is_own) dual->own_seen = true;
  if (of_transaction && dual->failed_within()) {
    exchange.failed[side] = true;
    if (dual->selects) dual->sole = true;  // where a SELECT failed, others wrote in its place
  }
  // What is copied behind makes up for what the bytes did, or did not.
  if (error && !(is_own && has_rest && dual->copies_behind())) exchange.failed[side] = true;
  if (--exchange.second_count > 0) return;
  up.owed().pop();
  second_leg_over(exchange);
  exchange.replied[side] = true;
  error = exchange.failed[side];
  exchange.ran_beside = !error && !up.null_reply();
  SecondCounters& counts = second_counters(exchange);
  counts.answered.add();
  if (error) counts.errors.add();
  if (error && up.side() == Side::Old && exchange.is_data_write() &&
      !exchange.failed[static_cast<std::size_t>(Side::New)]) {
    counters().new_only_writes.add();
  }
  if (exchange.compare) {
    compare(exchange);
  } else {
    counts.uncompared.add();
  }
  if (exchange.dual) return advance(exchange);
  const bool waited_for = exchange.either && !exchange.answered &&
                          exchange.replied[static_cast<std::size_t>(exchange.answer)];
  if (waited_for) {
    settle(exchange);  // may release it
  } else {
    release(&exchange);
  }
}

void RedisSession::second_leg_over(Exchange& exchange) {
  --interlay_.second_inflight;
  if (exchange.second == Second::Write) --second_writes_;
}

void RedisSession::internal_bytes(Upstream& up, Exchange& exchange, std::string_view bytes,
                                  std::uint32_t complete, std::uint32_t errors) {
  if (exchange.entry_probe || exchange.identity) exchange.held.append(bytes);
  if (exchange.asks) exchange.dual->keep(exchange.dual->answers, bytes, settings().copy_max);
  exchange.count -= complete;
  const bool refused = errors > 0 && exchange.sync;
  const bool opens = (exchange.sync || exchange.identity) && !refused && exchange.count == 0;
  const std::uint32_t gate = exchange.gate;
  if (exchange.count == 0) {
    DualWrite* const asked = exchange.asks ? exchange.dual : nullptr;
    if (exchange.identity) {
      up.client = client_in(exchange.held);
      up.identified = !exchange.held.starts_with("-NOAUTH");
    }
    up.owed().pop();
    if (exchange.entry_probe && entered_ == Entered::Asking) {
      entered_ = verdict(exchange.held);
      if (entered_ == Entered::Unknown) {
        probe_lost_ = true;
      } else if (state_.login.empty()) {
        interlay_.set_open_door(up.side(), entered_ == Entered::Yes);
      }
    }
    exchange.dual = nullptr;
    release(&exchange);
    if (asked) {
      asked->asking = false;
      advance(*asked->exchange);
    }
  }
  if (opens) up.open_gate(gate);
  if (refused) {  // this session's affair: the side itself is well
    up.refused_version = state_version_;
    lose(up, Drop::StateRefused, "refused the state of this session (login, database or protocol)",
         std::nullopt);
  }
}

void RedisSession::on_push(Upstream& up, std::string_view bytes, bool complete) {
  if (up.side() != anchor())
    return;  // nothing that a side says unasked is for the client, but its own
  up.heard = true;
  give_push(up, bytes, complete);
  const bool whole_now = complete && client_mid_push_;
  client_mid_push_ = !complete;
  if (whole_now) pump();  // what came meanwhile, from the other side or from ourselves
}

void RedisSession::give_push(const Upstream& up, std::string_view bytes, bool complete) {
  Exchange* const front = queue_.front();
  if (front && (front->awaited() != up.side() || front->dual)) {
    // Behind the replies of the same server that wait for their turn, if there are any.
    Exchange* last = nullptr;
    for (Exchange* one = front; one; one = one->next) {
      const bool has_some = one->answered || !one->held.empty();
      if (one->answer == up.side() && !one->either && has_some) last = one;
    }
    if (last) return hold(*last, bytes);
    if (client_mid_frame_ || front->either) {
      held_pushes_.append(bytes);
      return;
    }
  }
  client_.write(bytes);
  counters().client_out.add(bytes.size());
  client_mid_frame_ = !complete;
}

void RedisSession::on_subscription(Upstream& up, const Push& push) {
  subscriptions_.note(push);
  if (silent_due_ > 0) --silent_due_;
  if (subscriptions_.any()) pin(up.side());
}

// What a server's answer to a PING says of a client. Errors come before it is let in, or after.
RedisSession::Entered RedisSession::verdict(std::string_view answer) {
  if (answer.starts_with("-NOAUTH")) return Entered::No;
  if (!answer.starts_with('-')) return Entered::Yes;
  for (const char* later : {"-NOPERM", "-LOADING", "-BUSY", "-MASTERDOWN", "-MISCONF"}) {
    if (answer.starts_with(later)) return Entered::Yes;
  }
  return Entered::Unknown;  // turned away at the door, for instance: too many clients
}

// How many confirmations an UNSUBSCRIBE of everything gets: one per subscription, or one if there
// is none.
std::int32_t RedisSession::confirmations_due(Effect effect) const {
  const PushSpace space = effect == Effect::Punsubscribe   ? PushSpace::Patterns
                          : effect == Effect::Sunsubscribe ? PushSpace::Shards
                                                           : PushSpace::Channels;
  return static_cast<std::int32_t>(std::max<std::int64_t>(1, subscriptions_.in(space)));
}

void RedisSession::on_connected(Upstream& up) {
  begin_event();
  interlay_.connect_succeeded(up.side());
  end_event();
}

void RedisSession::defer_loss(Upstream& up) {
  loss_noticed_[static_cast<std::size_t>(up.side())] = true;
  loop().mark_busy(*this);
}

void RedisSession::on_lost(Upstream& up, std::string_view reason) {
  begin_event();
  const bool connecting = up.state() == Upstream::State::Connecting;
  const Exchange* front = up.owed().front();
  const bool expected =
      !front || front->form == Exchange::Form::Raw || expect_close_ || client_ended_;
  // One connection that ends says little about its side (CLIENT KILL, a full output buffer): only
  // one that never answered does. Whether the server is still there, the next connection will tell.
  std::optional<Interlay::Failure> blame;
  if (connecting) {
    blame = Interlay::Failure::Connect;
  } else if (!expected && !up.heard && up.side() != anchor()) {
    blame = Interlay::Failure::Answer;
  } else if (!expected) {
    counters().failures[static_cast<std::size_t>(up.side())].add();
  }
  const Drop why = connecting      ? Drop::SideDown
                   : client_ended_ ? Drop::Closed  // the end that we have sent it ourselves
                                   : Drop::ConnectionLost;
  lose(up, why, reason, blame, End::Servers);
  flush();
  end_event();
}

void RedisSession::on_garbled(Upstream& up) {
  lose(up, Drop::ConnectionLost, "it sent bytes that are not RESP", Interlay::Failure::Answer);
}

// Closes an upstream and settles all that it owed.
void RedisSession::lose(Upstream& up, Drop why, std::string_view reason,
                        std::optional<Interlay::Failure> blame, End end) {
  const bool anchored = up.side() == anchor();
  // A server that never said a word to this client, nor was to, holds nothing of its state: it can
  // be tried again.
  const bool held_our_state =
      anchored && up.state() != Upstream::State::Idle && (up.heard || up.unconfirmed);
  if (blame) interlay_.failed(up.side(), *blame, now_ns_);
  if (transaction_.open() && !anchored) transaction_.second = false;
  if (streaming_ && streaming_->answer_side == up.side()) streaming_->answer = false;
  if (streaming_ && streaming_->answer_side != up.side()) streaming_->second = false;
  const bool raw = (raw_ || syncing_) && anchored;
  if (anchored && std::exchange(syncing_, false)) forget_waiting();
  // A server may close a connection that it has not heard of for long, while its client is busy on
  // the other side. All that it held can be told to the next one, which judges anew who may enter.
  const bool replaceable =
      up.owed().empty() && !pin_ && !raw && !expect_close_ && !client_ended_ &&
      upstream(other(up.side())).progress_at_ns > up.progress_at_ns + kUnheardNs;
  if (end == End::Ours) forsake(up);
  if (up.side() == silent_side_) end_silence(end == End::Servers);
  fail_owed(up, why, reason);
  up.close();
  if (!anchored) return;
  if (client_mid_push_) client_.close();  // half a message can not be mended either
  if (replaceable) {
    entered_ = Entered::Unknown;
    return;
  }
  if (held_our_state || raw || client_ended_ || expect_close_) {
    home_lost_ = close_when_answered_ = true;  // as the server's own end would have shown
  } else {
    forget_state();
  }
}

void RedisSession::fail_owed(Upstream& up, Drop why, std::string_view reason) {
  std::vector<Exchange*> again;
  bool torn = up.inside_reply();  // the first one's
  const bool never_sent = up.state() != Upstream::State::Ready;
  while (!up.owed().empty()) {
    Exchange* exchange = up.owed().pop();
    if (exchange->internal) {
      if (exchange->entry_probe) {
        entered_ = Entered::Unknown;
        probe_lost_ = true;
      }
      DualWrite* const asked = exchange->asks ? exchange->dual : nullptr;
      exchange->dual = nullptr;
      release(exchange);
      if (asked) {
        asked->asking = false;
        advance(*asked->exchange);
      }
    } else if (exchange->answer != up.side()) {
      second_counters(*exchange).drop(why);
      if (up.side() == Side::Old && exchange->is_data_write()) {
        counters().new_only_writes.add();
        counters().new_only_unsure.add();
      }
      if (why == Drop::Timeout) why = Drop::ConnectionLost;  // the rest only stood behind it
      second_leg_over(*exchange);
      if (exchange->dual) {
        dual_lost(up, *exchange, never_sent);
      } else if (exchange->either && exchange->queued && !exchange->answered &&
                 exchange->replied[static_cast<std::size_t>(exchange->answer)]) {
        settle(*exchange);
      } else {
        release(exchange);
      }
    } else if (exchange->fallback && !exchange->started && client_.open()) {
      again.push_back(exchange);
    } else {
      if (exchange->dual) exchange->dual->first_unknown = !never_sent;
      const bool new_failed = exchange->replied[static_cast<std::size_t>(Side::New)] &&
                              exchange->failed[static_cast<std::size_t>(Side::New)];
      if (exchange->either && up.side() == Side::Old && !never_sent && exchange->is_data_write() &&
          !new_failed) {
        counters().new_only_writes.add();  // new answers for it
        counters().new_only_unsure.add();
      }
      if (streaming_ && streaming_->asks == exchange) {  // it will never be whole
        streaming_->asks = nullptr;
        exchange->dual->asking = false;
      }
      if (!never_sent) note_late(*exchange, exchange->count);
      fail_answer(up, *exchange, reason, torn);
    }
    torn = false;
  }
  counters().fallbacks_unanswered.add(again.size());
  for (Exchange* exchange : again) retry_on_other_side(exchange);
}

// Gives the client of a lost exchange what there is to give.
void RedisSession::fail_answer(Upstream& up, Exchange& exchange, std::string_view reason,
                               bool torn) {
  const auto side = static_cast<std::size_t>(up.side());
  if (torn && (exchange.started || (!exchange.either && !exchange.held.empty()))) {
    client_.close();  // half a reply cannot be mended
    client_ended_ = true;
    ended_at_ns_ = now_ns_;
  }
  // A blocked client of a server that dies or kills it sees its connection close, and so it does
  // here, where its connection will be closed.
  const bool closes = (up.heard || up.unconfirmed) && up.side() == anchor();
  const bool told = exchange.form == Exchange::Form::Raw || (exchange.blocks && closes) ||
                    ((expect_close_ || client_ended_) && up.side() == anchor());
  if (!told) {
    const std::string error = "-ERR crossfade: " + std::string(name_of(up.side())) + " endpoint '" +
                              up.address().id + "' was lost: " + std::string(reason) + "\r\n";
    if (exchange.either) {
      reordered_ -= exchange.held.size();
      exchange.held.clear();
    }
    const std::uint32_t errors = closes ? std::min(exchange.count, kErrorsMax) : exchange.count;
    for (std::uint32_t i = 0; i < errors; ++i) hold(exchange, error);
    counters().errors[side].add(exchange.count);
  }
  exchange.replied[side] = true;
  exchange.failed[side] = true;
  if (exchange.relies) interlay_.known_suspects().over(exchange.count);
  exchange.count = 0;
  after_answer(up, exchange, true);
  settle(exchange);
}

// A read that its side could not answer is asked of the other side, which has everything.
void RedisSession::retry_on_other_side(Exchange* exchange) {
  reordered_ -= exchange->held.size();
  exchange->held.clear();
  exchange->fallback = false;
  exchange->answer = other(exchange->answer);
  exchange->sent_at_ns = now_ns_;
  if (exchange->blocks) blocking_side_ = exchange->answer;
  counters().fallbacks.add();
  Upstream& up = upstream(exchange->answer);
  if (!reach(up, Interlay::Use::Needed)) {
    hold(*exchange, "-ERR crossfade: no side can answer this read\r\n");
    after_answer(up, *exchange, true);
    exchange->answered = true;
    pump();
    return;
  }
  bring_up_to_date(up);
  up.owe(exchange);
  up.send_copy(exchange->request);
  counters().server_out.add(exchange->request.size());
}

void RedisSession::end_reply_event() {
  flush();
  end_event();
  if (answered_in_event_ == 0) return;
  counters().proxy.record(uv_hrtime() - now_ns_ + request_cost_ns_, answered_in_event_);
  answered_in_event_ = 0;
}

}  // namespace crossfade::redis
