// From one request's plan to its legs: which upstreams get the bytes, and who owes which reply.
#include <algorithm>
#include <array>
#include <cassert>
#include <string>
#include <utility>

#include "protocols/redis/key_user.h"
#include "proxy/loop.h"
#include "proxy/redis/session.h"
#include "strategies/api_keys.h"
#include "strategies/api_set.h"
#include "strategies/user_fields.h"

namespace crossfade::redis {

namespace {
// Beyond this many exchanges, runs are joined across events too: latency is then counted a little
// too high, memory stays small.
constexpr std::size_t kJoinAbove = 256;
constexpr const char* kUnasked =
    "a client had switched its replies off before it was known whether it may enter, and wrote to "
    "one side only";

bool is_urgent(const RequestFacts& facts) { return facts.spec && facts.spec->urgent; }

// Where a key lies, if the route does not leave that to the key alone.
ApiKeys::Place place_by(const InterlayRoute& route, std::string_view key) {
  ApiKeys::Place place{.bucket = 0, .api = std::nullopt};
  if (route.api_keys) place = route.api_keys->place_of(key);
  if (place.bucket != kBeyond && route.key_user) place.bucket = route.key_user->bucket(key);
  return place;
}
}  // namespace

// Of who asks, for a canary that is not split by key.
std::uint32_t RedisSession::caller_bucket(SplitBy by, const Pending& asks,
                                          const RequestCutter& cutter) const {
  switch (by) {
    case SplitBy::Key:
      break;
    case SplitBy::User:
      if (route_->user_fields) {
        const auto user =
            asks.whole ? route_->user_fields->user_of(cutter, asks.bytes) : std::nullopt;
        return user ? bucket_of(*user) : asks.facts.bucket_high;
      }
      if (state_.login.username.empty()) return bucket_of("default");
      return bucket_of(state_.login.username);
    case SplitBy::Session:
      return session_bucket_;
    case SplitBy::Request: {
      const std::array<std::uint64_t, 2> request{id_, requests_};
      return bucket_of({reinterpret_cast<const char*>(request.data()), sizeof request});
    }
  }
  return 0;
}

RedisSession::Buckets RedisSession::buckets_of(const InterlayRoute& route, const Pending& request,
                                               const RequestCutter& cutter) {
  const RequestFacts& facts = request.facts;
  const bool by_itself = !route.api_keys && !route.key_user;
  if (by_itself || facts.key_count == 0) {
    return {.low = facts.bucket_low, .high = facts.bucket_high, .api = {}};
  }
  Buckets buckets = kNoKeys;
  for_each_key(*facts.spec, cutter, request.bytes, [&](std::string_view key) {
    const auto [bucket, api] = place_by(route, key);
    buckets.low = std::min(buckets.low, bucket);
    buckets.high = std::max(buckets.high, bucket);
    if (!buckets.api) buckets.api = api;
  });
  return buckets;
}

// Where new serves an api by other templates.
void RedisSession::render(Pending& request, const RequestCutter& cutter) {
  const ApiKeys& keys = *route_->api_keys;
  std::string& out = loop().rendered();
  switch (keys.render(request.facts, cutter, request.bytes, loop().args(), out)) {
    case ApiKeys::Form::AsItIs:
      return;
    case ApiKeys::Form::Anew:
      request.anew = out;
      return;
    case ApiKeys::Form::Foreign:
      request.foreign = true;
      return;
  }
}

bool RedisSession::refuse_foreign(const Pending& request) {
  if (!request.foreign || request.plan.answer != Side::New) return false;
  counters().refused_foreign.add();
  refuse(
      "-ERR crossfade: the new server has the keys of this command in another form, and no "
      "template of their api that is rendered for it matches the command\r\n");
  return true;
}

// The end is all that a silent client can hear.
void RedisSession::end_if_silent() {
  if (reply_mode_ == ReplyMode::Off) home_lost_ = close_when_answered_ = true;
}

// What was written anew goes on being used for the next request: it is copied.
void RedisSession::send_request(Upstream& up, const Pending& request) {
  const bool anew = up.side() == Side::New && !request.anew.empty();
  if (anew) {
    up.send_copy(request.anew);
  } else {
    up.send(request.bytes);
  }
  counters().server_out.add(anew ? request.anew.size() : request.bytes.size());
}

// In a transaction every command goes where a write of its keys would go.
Plan RedisSession::plan_write(const InterlayRoute& route, const Pending& request,
                              const RequestCutter& cutter) {
  const Buckets buckets = buckets_of(route, request, cutter);
  return plan(*route.strategy, {.kind = Kind::Write,
                                .keyed = true,
                                .bucket_low = buckets.low,
                                .bucket_high = buckets.high,
                                .pinned = std::nullopt});
}

// Where requests go by api.
bool RedisSession::belongs_to_none_that_moves(Pending& request, const RequestCutter& cutter) const {
  const auto entry = route_->apis->entry_of(cutter, request.bytes);
  if (!entry) return true;
  request.api = route_->apis->names().of_entry(*entry);
  return !route_->apis->moves(*entry);
}

void RedisSession::count(const Pending& request, Side side) {
  const auto index = static_cast<std::size_t>(side);
  counters().requests[index][static_cast<std::size_t>(request.facts.kind)].add();
  if (request.api) interlay_.count_api(*names_of(*route_), *request.api, side);
}

Plan RedisSession::plan_for(Pending& request, const RequestCutter& cutter) const {
  if (!route_->strategy) return Plan{};
  const RequestFacts& facts = request.facts;
  const Buckets buckets = buckets_of(*route_, request, cutter);
  request.api = buckets.api;
  Facts about{.kind = facts.kind,
              .keyed = facts.key_count > 0,
              .bucket_low = buckets.low,
              .bucket_high = buckets.high,
              .caller_bucket = caller_bucket(split_by(*route_->strategy), request, cutter),
              .sided = facts.sided || facts.cursor,
              .stays = route_->apis && belongs_to_none_that_moves(request, cutter),
              .pinned = pin_};
  if (!pin_ && reply_mode_ != ReplyMode::On) about.pinned = anchor();
  if (!pin_ && scans_keyspace(facts) && !facts.cursor_starts) about.pinned = scan_side_;
  return plan(*route_->strategy, about);
}

RedisSession::Handled RedisSession::handle(Pending request, const RequestCutter& cutter) {
  loop().mark_busy(*this);
  if (home_lost_) {
    unreachable(anchor());
    return Handled::Yes;
  }
  if (!refresh_route()) return Handled::Stall;
  if (route_->api_keys && route_->api_keys->renders()) render(request, cutter);
  // What is begun behind a RESET must not be forgotten with its answer.
  if (resetting_ > 0 && (route_->strategy || request.facts.effect != Effect::None)) {
    return Handled::Stall;
  }
  if (transaction_.open()) {
    const bool runs = request.facts.effect == Effect::Exec && !transaction_.poisoned &&
                      !watch_failed_ && !lost_its_side();
    if (transaction_.dual && runs && !await_transaction_turn()) return Handled::Stall;
    in_transaction(request, cutter);
    return Handled::Yes;
  }
  if (attempts_ > 0) return Handled::Stall;
  request.plan = plan_for(request, cutter);
  if (request.facts.kind == Kind::Read && !pin_) keep_from_stale(request, cutter);
  if (request.plan.split) {
    counters().refused_split.add();
    refuse(
        "-ERR crossfade: the keys of this command lie on both sides of the write split; "
        "give them one {hash tag}, or move all writes\r\n");
    end_if_silent();
    return Handled::Yes;
  }
  if (refuse_foreign(request)) {
    end_if_silent();
    return Handled::Yes;
  }
  const bool may_change = subscribing_ > 0 || (subscriptions_.any() && state_pending_ > 0);
  if (may_change && state_.resp == 2 &&
      (request.plan.second != Second::Nothing || request.facts.effect == Effect::ClientReply)) {
    return Handled::Stall;  // whether a server would refuse it hangs on the outcome
  }
  // The other side, which knows of no subscription, would run what the server refuses.
  if (refuses_subscriber()) request.plan.second = Second::Nothing;
  if (silent_due_ > 0 && state_.resp == 2 && request.plan.second != Second::Nothing) {
    // Nor can it be told whether the server does: that leg is lost, but not unseen.
    drop_second(request.plan.second, Drop::StateRefused);
    request.plan.second = Second::Nothing;
  }
  const bool two_sided = request.plan.answer != anchor() || request.plan.second != Second::Nothing;
  if (two_sided) {
    if (entered_ != Entered::Yes && reply_mode_ == ReplyMode::On && ask_entry() == Handled::Stall) {
      return Handled::Stall;
    }
    if (entered_ != Entered::Yes && !may_enter_unasked()) {
      // While replies are off it can not be told whether the judge says no.
      if (reply_mode_ != ReplyMode::On && writes_both(request)) mark(kUnasked);
      request.plan = Plan{.answer = anchor()};
    }
    if (state_pending_ > 0) return Handled::Stall;
  }
  if (blocking_ > 0 &&
      (request.plan.answer != blocking_side_ || request.plan.second != Second::Nothing)) {
    return Handled::Stall;
  }
  // While replies are off nobody can be asked any more.
  if (request.facts.effect == Effect::ClientReply && route_->strategy &&
      reply_mode_ == ReplyMode::On && entered_ != Entered::Yes && ask_entry() == Handled::Stall) {
    return Handled::Stall;
  }
  if (repeatable_ > 0 && !may_overtake_reads(request.facts)) return Handled::Stall;
  if (!writes_both(request)) {
    give_back_next();  // the table has changed while it waited
  } else if (!next_write_ && relies_on_ledger(request, cutter)) {
    drop_second(std::exchange(request.plan.second, Second::Nothing), Drop::SideDown);
    request.relies = true;
  } else if (!await_turn(request, cutter)) {
    return Handled::Stall;
  }
  ++requests_;
  begin_effect(request, cutter);
  return Handled::Yes;
}

// Reads that are under way on new may have to be asked of old again: nothing may have been sent
// there by then that they would see.
bool RedisSession::may_overtake_reads(const RequestFacts& facts) const {
  if (facts.effect != Effect::None) return false;
  if (facts.kind == Kind::Read) return true;
  return facts.kind == Kind::Write && facts.key_count > 0 &&
         (repeatable_keys_ & keys_mask(facts)) == 0;
}

// Nobody reaches the other side whom the home side would not let in: it is asked once per login.
RedisSession::Handled RedisSession::ask_entry() {
  if (entered_ == Entered::No || unasked_) return Handled::Yes;
  if (entered_ == Entered::Asking || state_pending_ > 0) return Handled::Stall;
  Upstream& judge = upstream(anchor());
  if (!reach(judge, Interlay::Use::Needed)) return Handled::Yes;
  bring_up_to_date(judge);
  send_internal(judge, kPing, 1);
  judge.owed().back()->entry_probe = true;
  entered_ = Entered::Asking;
  return Handled::Stall;
}

// The judge cannot be asked now; it let everybody in when it could.
bool RedisSession::may_enter_unasked() const {
  return entered_ == Entered::Unknown && reply_mode_ == ReplyMode::On && state_.login.empty() &&
         interlay_.open_door(anchor());
}

// Makes sure that there is a connection, made or being made. False: the side is known to be down.
bool RedisSession::reach(Upstream& up, Interlay::Use use) {
  if (interlay_.stalled(up.side()) && use != Interlay::Use::Urgent) {
    if (transaction_.open()) return false;  // a PING would be queued in it: others will probe
    if (!interlay_.probe_now(up.side(), now_ns_) || reply_mode_ != ReplyMode::On) return false;
    if (up.state() == Upstream::State::Idle) up.open(route_, now_ns_);
    if (up.owed().empty()) send_internal(up, kPing, 1);
    loop().mark_busy(*this);
    return false;
  }
  if (up.state() != Upstream::State::Idle) {
    return use != Interlay::Use::Dispensable || interlay_.try_now(up.side(), use, now_ns_);
  }
  if (!interlay_.try_now(up.side(), use, now_ns_)) return false;
  up.open(route_, now_ns_);
  loop().mark_busy(*this);
  return true;
}

// A busy server takes nothing but the login, and what frees it needs no more.
void RedisSession::bring_up_to_date(Upstream& up, Wanted wanted) {
  if (up.applied_version == state_version_) return;
  // The home side judges the client's own login. A named user has rights of its own, which only the
  // same user on the other side can have: the endpoint's credentials stand in for the default user
  // alone. The new side, once home, takes them for clients that the old side let in without asking,
  // or that have shown theirs.
  const EndpointAddress& old_side = route_->old_side;
  const bool named = !state_.login.username.empty() && state_.login.username != "default";
  const bool entered_before =
      (old_side.username.empty() && old_side.password.empty()) || !state_.login.empty();
  const bool own =
      !named && (up.side() != home_side() || (up.side() == Side::New && entered_before));
  std::string commands;
  ConnectionState state = state_;
  if (wanted == Wanted::Login) {
    state.db = up.applied.db.value_or(0);
    state.name = up.applied.name;
  } else {
    up.applied_version = state_version_;
  }
  const unsigned count = sync_commands(up.applied, state, up.address(),
                                       own ? Login::Endpoint : Login::Client, commands);
  if (count == 0) return;
  send_internal(up, commands, count);
  up.owed().back()->sync = true;
  up.owed().back()->gate = up.close_gate();
}

void RedisSession::send_internal(Upstream& up, std::string_view commands, std::uint32_t count) {
  Exchange* exchange = loop().exchanges().get();
  exchange->internal = exchange->special = true;
  exchange->count = count;
  exchange->answer = up.side();
  exchange->sent_at_ns = now_ns_;
  up.owe(exchange);
  up.send_copy(commands);
  counters().server_out.add(commands.size());
}

Exchange* RedisSession::new_exchange(Pending& request) {
  Exchange* exchange = loop().exchanges().get();
  exchange->sent_at_ns = now_ns_;
  exchange->answer = request.plan.answer;
  exchange->kind = request.facts.kind;
  exchange->effect = request.facts.effect;
  exchange->form = request.form;
  exchange->frames = request.frames;
  exchange->second = request.plan.second;
  exchange->either = request.plan.either && request.plan.second != Second::Nothing;
  exchange->fallback = request.plan.fallback && request.whole && request.plan.answer == Side::New;
  // Of dual writes the bytes alone tell; of copies their meaning is looked at, too.
  exchange->compare = (request.plan.second != Second::Nothing && request.facts.comparable) ||
                      (request.plan.second == Second::Copy && request.facts.by_meaning);
  exchange->blocks = request.facts.blocks;
  const bool runs = exchange->is_data_write() && !transaction_.open();
  exchange->writes = runs || exchange->effect == Effect::Exec ? 1 : 0;
  exchange->former = request.former;
  if (exchange->fallback) {
    exchange->is_repeatable = true;
    ++repeatable_;
    repeatable_keys_ |= keys_mask(request.facts);
  }
  exchange->change = std::move(request.change);
  exchange->moves = exchange->effect == Effect::Exec && exchange->change;
  exchange->special = exchange->form != Exchange::Form::Reply || exchange->effect != Effect::None ||
                      exchange->second != Second::Nothing || exchange->fallback ||
                      exchange->blocks || exchange->change || request.former;
  return exchange;
}

bool RedisSession::dispatch(Pending& request) {
  second_sent_ = false;
  if (next_write_) return dispatch_dual(request);
  Plan& plan = request.plan;
  if (reply_mode_ != ReplyMode::On) return send_silently(request);
  Upstream* up = &upstream(plan.answer);
  constexpr auto kNeeded = Interlay::Use::Needed;
  const bool refused = plan.fallback && up->refused_version == state_version_;
  const bool urgent = is_urgent(request.facts);
  const Interlay::Use use = urgent          ? Interlay::Use::Urgent
                            : plan.fallback ? Interlay::Use::Dispensable
                                            : kNeeded;
  if (refused || !reach(*up, use)) {
    if (plan.fallback && reach(upstream(other(plan.answer)), kNeeded)) {
      counters().fallbacks.add();
      counters().fallbacks_unsent.add();
      plan.answer = other(plan.answer);
      plan.fallback = false;
      up = &upstream(plan.answer);
    } else if (!plan.either || !reach(upstream(other(plan.answer)), kNeeded)) {
      if (request.relies) interlay_.known_suspects().over(1);
      skip_streaming();
      unreachable(plan.answer);
      return false;
    } else {  // best_effort: the other side alone
      if (plan.second != Second::Nothing) drop_second(plan.second, Drop::SideDown);
      plan = Plan{.answer = other(plan.answer)};
      up = &upstream(plan.answer);
    }
  }
  count(request, plan.answer);
  bring_up_to_date(*up, urgent ? Wanted::Login : Wanted::State);
  const bool runs = transaction_.open() ? request.facts.effect == Effect::Exec
                                        : request.facts.kind == Kind::Write;
  request.former = runs && goes_by_former();
  if (request.former) mark(kFormer);
  const bool plain = request.form == Exchange::Form::Reply &&
                     request.facts.effect == Effect::None && plan.second == Second::Nothing &&
                     !plan.fallback && !request.facts.blocks && !request.change && !request.former;
  if (plain) {
    forward_plain(*up, request);
  } else {
    Exchange* exchange = new_exchange(request);
    if (exchange->change) ++state_pending_;
    if (exchange->form == Exchange::Form::PubSub) ++subscribing_;
    if (exchange->effect == Effect::Reset) ++resetting_;
    if (exchange->blocks) {
      ++blocking_;
      blocking_side_ = plan.answer;
    }
    queue_.push(exchange);
    up->owe(exchange);
    if (exchange->fallback || exchange->blocks) exchange->request.assign(request.bytes);
    send_request(*up, request);
    if (exchange->second != Second::Nothing) {
      second_sent_ = send_second_leg(*exchange, request);
      if (second_sent_) keep_pair(*exchange, request);
    }
    if (exchange->is_data_write() && plan.answer == Side::New && !second_sent_) {
      counters().new_only_writes.add();
    }
  }
  if (!request.whole) {
    streaming_->answer_side = plan.answer;
    streaming_->second = second_sent_;
  }
  return true;
}

void RedisSession::forward_plain(Upstream& up, const Pending& request) {
  const bool queued = transaction_.open();  // nothing of it is run before EXEC
  const std::uint32_t writes = request.facts.kind == Kind::Write && !queued ? 1 : 0;
  Exchange* back = queue_.back();
  if (back && !back->special && back == up.owed().back() && !back->answered &&
      back->relies == request.relies &&
      (back->sent_at_ns == now_ns_ || queue_.size() > kJoinAbove)) {
    ++back->count;
    back->writes += writes;
  } else {
    Exchange* exchange = loop().exchanges().get();
    exchange->sent_at_ns = now_ns_;
    exchange->answer = up.side();
    exchange->kind = request.facts.kind;
    exchange->writes = writes;
    exchange->relies = request.relies;
    queue_.push(exchange);
    up.owe(exchange);
  }
  if (request.facts.kind == Kind::Write && up.side() == Side::New) {
    queued ? void(++transaction_.writes) : counters().new_only_writes.add();
  }
  send_request(up, request);
}

// Sends the other side its copy or its write, unless a limit or its health forbids. False: dropped
// and counted; the client's answer does not depend on it.
bool RedisSession::send_second_leg(Exchange& exchange, const Pending& request) {
  SecondCounters& counts = second_counters(exchange);
  counts.eligible.add();
  Upstream& up = upstream(other(exchange.answer));
  if (request.facts.blocks) {
    counts.drop(Drop::Blocking);
    return false;
  }
  if (interlay_.second_inflight >= settings().second_inflight_max ||
      overfills(up, request.bytes.size())) {
    counts.drop(Drop::Overflow);
    return false;
  }
  const bool urgent = is_urgent(request.facts);
  if (up.refused_version == state_version_ && !urgent) {
    counts.drop(Drop::StateRefused);
    return false;
  }
  if (!reach(up, urgent ? Interlay::Use::Urgent : Interlay::Use::Dispensable)) {
    counts.drop(Drop::SideDown);
    return false;
  }
  bring_up_to_date(up, urgent ? Wanted::Login : Wanted::State);
  ++interlay_.second_inflight;
  if (exchange.second == Second::Write) ++second_writes_;
  up.owe(&exchange);
  up.send(request.bytes);
  counters().server_out.add(request.bytes.size());
  return true;
}

// CLIENT REPLY OFF and SKIP: the server sends nothing back, so nobody waits.
bool RedisSession::send_silently(Pending& request) {
  Upstream& up = upstream(request.plan.answer);
  if (!reach(up, Interlay::Use::Needed)) {
    skip_streaming();
    home_lost_ = close_when_answered_ = true;  // the end is all that a silent client can hear
    return false;
  }
  count(request, up.side());
  bring_up_to_date(up);
  send_request(up, request);
  up.unconfirmed = true;
  const bool taken = !(state_.resp == 2 && silent_due_ > 0) && !refuses_subscriber();
  if (request.change && (request.change->reset || (taken && !request.change->login))) {
    set_state(*request.change, up);  // no reply will ever confirm it; a login is not believed
  } else if (request.change && !taken) {
    upstream(other(up.side())).refused_version = state_version_;  // no way to follow it there
  }
  if (request.plan.second != Second::Nothing) {
    request.change.reset();
    Exchange* exchange = new_exchange(request);
    exchange->answered = exchange->special = true;
    exchange->compare = exchange->either = exchange->fallback = false;
    second_sent_ = send_second_leg(*exchange, request);
    release(exchange);
  }
  if (request.facts.kind == Kind::Write && request.facts.effect == Effect::None &&
      up.side() == Side::New && !second_sent_) {
    counters().new_only_writes.add();
  }
  if (!request.whole) {
    streaming_->answer_side = up.side();
    streaming_->second = second_sent_;
  }
  if (request.facts.effect != Effect::ClientReply && reply_mode_ == ReplyMode::SkipNext) {
    reply_mode_ = ReplyMode::On;
    unpin_if_free();
  }
  return true;
}

void RedisSession::unreachable(Side side) {
  counters().errors[static_cast<std::size_t>(side)].add();
  counters().unreached[static_cast<std::size_t>(side)].add();
  refuse("-ERR crossfade: " + std::string(name_of(side)) + " endpoint '" + route_->at(side)->id +
         "' is unreachable, try again\r\n");
}

// Answers the request in progress ourselves, in its turn.
void RedisSession::refuse(std::string_view error) {
  skip_streaming();
  if (reply_mode_ != ReplyMode::On) {
    if (reply_mode_ == ReplyMode::SkipNext) {
      // The server was told to skip one reply: it must not be the next one that is wanted.
      upstream(anchor()).send_copy(kPing);
      reply_mode_ = ReplyMode::On;
      unpin_if_free();
    }
    return;
  }
  Exchange* exchange = loop().exchanges().get();
  exchange->special = exchange->answered = true;
  queue_.push(exchange);
  hold(*exchange, error);
  pump();
}

// The rest of a big request that goes nowhere is read and forgotten.
void RedisSession::skip_streaming() {
  if (streaming_) streaming_->answer = streaming_->second = false;
}

}  // namespace crossfade::redis
