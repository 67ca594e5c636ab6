// A new table, while something of a session is under way by the former one: what goes on, what
// ends, and what is not to be run any more because its side has lost its writes by the new table.
//
//   a transaction that is open   is run where its writes still go there, or go to both sides. Else
//                                its EXEC is refused: nothing of it was run yet
//   a WATCH                      has failed, which is what its client foresees: EXEC answers null
//   a request that is sent       comes to its end, before any other of its client, and is counted
//   what else ties a session     ends it
#include <algorithm>

#include "proxy/loop.h"
#include "proxy/redis/session.h"
#include "strategies/api_keys.h"

namespace crossfade::redis {

namespace {

bool same_server(const EndpointAddress& one, const EndpointAddress& other) {
  return one.host == other.host && one.port == other.port && one.db == other.db;
}

}  // namespace

// Takes a new table up, where nothing ties the session to the former. False: something must end
// first.
bool RedisSession::refresh_route() {
  if (route_ == newest_route() || streaming_) return true;
  if (loses_watches()) fail_watches();
  if (transaction_.open() || watches_ > 0) return true;
  // What it has sent comes first, as servers of their own keep no order between them.
  if (!queue_.empty() && goes_otherwise()) return false;
  return take_route_up();
}

bool RedisSession::take_route_up() {
  const InterlayRoutePtr& next = newest_route();
  if (tied_to_former_home()) {  // it is about to end; nothing is planned for it any more
    if (left_behind_at_ns_ == 0) left_behind_at_ns_ = now_ns_;
    return false;
  }
  for (Upstream* up : {&old_, &new_}) {
    if (up->state() == Upstream::State::Idle || serves(*next, *up)) continue;
    if (!up->idle() && (!queue_.empty() || up->side() == anchor())) return false;
    // What it still owes is second legs: nobody waits for those of a side that has left.
    if (!up->idle()) lose(*up, Drop::Closed, "its side has left", std::nullopt);
    up->close();
    up->refused_version = 0;
  }
  route_ = next;
  writes_ = interlay_.shared_writes();
  if (!route_->new_side) scan_side_.reset();
  return true;
}

// By the newest table some requests go elsewhere than by the one that this session has.
bool RedisSession::goes_otherwise() const {
  const InterlayRoute& newest = *newest_route();
  return route_->strategy != newest.strategy || route_->api_keys != newest.api_keys ||
         route_->user != newest.user;
}

// Whether the route still has the server that this connection was made to.
bool RedisSession::serves(const InterlayRoute& route, const Upstream& up) {
  const EndpointAddress* const now = route.at(up.side());
  return now && *now == up.address();
}

// Tied by state that cannot go over (a subscription, tracking, MONITOR, silence, MULTI, WATCH), or
// handed through, to a server that the newest table does not have at its side any more, or to a
// side that is not home by it. Plain subscribers may stay on such a side while messages reach both.
bool RedisSession::tied_to_former_home() const {
  if (!pin_ && !raw_) return false;
  const InterlayRoute& newest = *newest_route();
  const Upstream& tie = upstream(anchor());
  if (tie.state() != Upstream::State::Idle && !serves(newest, tie)) return true;
  if (tie.side() == newest.home_side()) return false;
  const bool only_listens = state_.resp == 2 && subscriptions_.any() && !transaction_.open();
  return !(only_listens && newest.strategy);
}

// Waiting, perhaps for ever, for what will come to the other side from now on.
bool RedisSession::blocked_at_former_home() const {
  if (blocking_ == 0) return false;
  const InterlayRoute& newest = *newest_route();
  if (!newest.strategy) return blocking_side_ != Side::Old;
  for (const Exchange* one = queue_.front(); one != nullptr; one = one->next) {
    if (one->blocks && !may_block_there(newest, *one)) return true;
  }
  return false;
}

bool RedisSession::may_block_there(const InterlayRoute& route, const Exchange& blocked) const {
  Pending request;
  request.bytes = blocked.dual != nullptr ? blocked.dual->request : blocked.request;
  RequestCutter cutter;
  (void)cutter.advance(request.bytes);
  const auto facts = facts_of(*route.commands, cutter, request.bytes, false);
  if (!facts) return false;
  if (facts->key_count == 0) return route.home_side() == blocking_side_;  // WAIT
  request.facts = *facts;
  const Plan now = plan_write(route, request, cutter);
  return !now.split && now.answer == blocking_side_;
}

// Within a WATCH or a MULTI the former table goes on, by which keys of apis that have moved since
// are on the other side. Home may stay where it is, so nothing else ends that.
bool RedisSession::keeps_former_keys() const {
  if (!transaction_.open() && watches_ == 0) return false;
  const InterlayRoute& newest = *newest_route();
  if (!route_->api_keys && !newest.api_keys) return false;
  return route_->api_keys != newest.api_keys || route_->strategy != newest.strategy;
}

// At its next safe point, and at the latest after a limit, a session that was left behind ends: its
// driver connects again and finds the new home.
void RedisSession::end_left_behind() {
  if (!left_behind()) {
    left_behind_at_ns_ = 0;
    return;
  }
  const bool waits = transaction_.open() || watches_ > 0 || !queue_.empty() || streaming_;
  if (waits && now_ns_ < left_behind_at_ns_ + kLingerNs) return;
  counters().sessions_ended.add();
  close_when_answered_ = client_ended_ = true;
  ended_at_ns_ = now_ns_;
  if (queue_.empty()) return;
  // The servers first: what one of them has taken out for this client meanwhile is still its own.
  if (stalled_) forget_waiting();
  finish_upstreams();
}

void RedisSession::on_route() {
  if (route_ != newest_route() && goes_by_former()) begin_to_write_both();
  const bool fails = loses_watches();
  if (!fails && (left_behind_at_ns_ != 0 || !left_behind())) return show_stay(stays());
  begin_event();
  if (fails) fail_watches();
  if (left_behind_at_ns_ == 0 && left_behind()) left_behind_at_ns_ = now_ns_;
  loop().mark_busy(*this);
  end_event();
}

// The side that decides writes of these keys by that route; nullopt: not one for all of them, or it
// can not be told.
std::optional<Side> RedisSession::side_of_writes(const InterlayRoute& route, Buckets keys) const {
  if (!route.strategy) return Side::Old;
  const bool split = splits_writes(*route.strategy) && keys.any();
  if (split && (route.api_keys != route_->api_keys || route.user != route_->user)) {
    return std::nullopt;
  }
  const Plan plan = crossfade::plan(*route.strategy, {.kind = Kind::Write,
                                                      .keyed = split,
                                                      .bucket_low = keys.low,
                                                      .bucket_high = keys.high,
                                                      .pinned = std::nullopt});
  if (plan.split) return std::nullopt;
  return plan.answer;
}

// What this session WATCHes, or has queued, belongs to another server by the newest table.
bool RedisSession::lost_its_side() const {
  if (!pin_ || route_ == newest_route()) return false;
  const InterlayRoute& newest = *newest_route();
  if (transaction_.dual && newest.authority()) return false;  // both have it
  const Upstream& tie = upstream(*pin_);
  if (tie.state() == Upstream::State::Idle) return false;
  const std::optional<Side> right = side_of_writes(newest, kept_keys_);
  return !right || !same_server(*newest.at(*right), tie.address());
}

// Where keys are split, others than those that it WATCHes would go by the former table meanwhile.
bool RedisSession::loses_watches() const {
  if (watches_ == 0 || transaction_.open() || streaming_ || route_ == newest_route()) return false;
  const InterlayRoute& newest = *newest_route();
  const bool splits = newest.strategy && splits_writes(*newest.strategy);
  return (splits && goes_otherwise()) || lost_its_side();
}

void RedisSession::fail_watches() {
  Upstream& tie = upstream(*pin_);
  // A silent one would not tell that it has; its session ends, as it is tied all the same.
  if (reply_mode_ == ReplyMode::On && tie.state() != Upstream::State::Idle) {
    send_internal(tie, kUnwatch, 1);
  }
  end_watch();
  watch_failed_ = true;
  unpin_if_free();
}

// Whether a request that is with its side may be run there though its writes go to another one by
// the newest table. Of keys that are split nobody remembers which it was.
bool RedisSession::is_late(const Exchange& exchange) const {
  if (exchange.internal || exchange.second == Second::Write) return false;
  const InterlayRoute& newest = *newest_route();
  const Upstream& up = upstream(exchange.answer);
  if (up.state() == Upstream::State::Idle) return false;
  if (newest.strategy && splits_writes(*newest.strategy)) return goes_otherwise();
  const std::optional<Side> right = side_of_writes(newest, kNoKeys);
  return !right || !same_server(*newest.at(*right), up.address());
}

// So many of its replies have come, none of them an error.
void RedisSession::note_late(Exchange& exchange, std::uint32_t done) {
  if (route_ == newest_route() || !is_late(exchange)) return;
  const std::uint32_t late = std::min(done, exchange.writes);
  exchange.writes -= late;
  counters().late_writes[static_cast<std::size_t>(exchange.answer)].add(late);
}

bool RedisSession::stays() const {
  if (route_ == newest_route()) return false;
  for (const Exchange* one = queue_.front(); one != nullptr; one = one->next) {
    const bool may_write = one->writes > 0 || (one->form == Exchange::Form::Raw && !raw_ends_);
    if (may_write && !one->answered && is_late(*one)) return true;
  }
  return false;
}

void RedisSession::show_stay(bool stays) {
  if (stays == stays_) return;
  stays_ = stays;
  Counter& gauge = counters().staying[static_cast<std::size_t>(Stay::Transaction)];
  stays ? gauge.add() : gauge.sub();
}

}  // namespace crossfade::redis
