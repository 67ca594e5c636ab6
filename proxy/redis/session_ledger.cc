// What becomes of a dual write whose legs are over, or will never be heard of: keys that may differ
// are in the ledger, on disk, before the answer is let go. And what the ledger says to later
// requests: reads that must not go to a side that is behind, writes that need not be noted again.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/loop.h"
#include "proxy/redis/session.h"

namespace crossfade::redis {

namespace {

// More keys than this are not written down one by one.
constexpr std::size_t kSuspectsMax = 10'000;
constexpr const char* kByFormer =
    "another side was made right while writes were under way that the former one alone has";
constexpr std::uint64_t kSilencePauseNs = 250'000'000;
constexpr std::uint64_t kSilencePauseMaxNs = 60'000'000'000;

bool replied_alike(const Exchange& exchange) {
  return exchange.compare && exchange.both_hashed() && !exchange.hashes_differ();
}

}  // namespace

// --- the outcome

// Why the keys may differ now that both legs are over, or nothing.
std::optional<Doubt> RedisSession::doubt_of(const Exchange& exchange) const {
  using Leg = DualWrite::Leg;
  const DualWrite& dual = *exchange.dual;
  const auto answer = static_cast<std::size_t>(exchange.answer);
  const auto beside = static_cast<std::size_t>(other(exchange.answer));
  Leg second = dual.second;
  if (second == Leg::UnderWay && exchange.replied[beside]) {
    second = exchange.failed[beside] ? Leg::Failed : Leg::Ok;
  }
  if (dual.first_unknown) return Doubt::Unanswered;
  if (exchange.failed[answer]) {
    if (dual.partial && second == Leg::Unsent) return Doubt::Unsent;
    if (dual.skipped || second == Leg::Unsent || second == Leg::UnderWay) return std::nullopt;
    if (second == Leg::Ok) return Doubt::Outcome;
    if (second == Leg::Unknown) return Doubt::Unanswered;
    if (dual.partial && dual.how == Replay::Suspect && dual.sole) return Doubt::Chance;
    // A script that failed on both sides may have come further on one of them.
    const bool copied = dual.how == Replay::Copy || dual.copies_behind();
    if (dual.partial && copied) return Doubt::Outcome;
    if (dual.partial && !replied_alike(exchange)) return Doubt::Replies;
    return std::nullopt;
  }
  if (dual.cannot) return Doubt::Chance;
  if (dual.did_nothing()) return std::nullopt;
  switch (second) {
    case Leg::Failed:
      return Doubt::Outcome;
    case Leg::Unsent:
      return Doubt::Unsent;
    case Leg::Unknown:
    case Leg::UnderWay:
      return Doubt::Unanswered;
    case Leg::Ok:
      break;
  }
  if (dual.gave_up) return Doubt::Order;
  if (dual.how == Replay::Copy || dual.copies_behind()) return std::nullopt;
  if (dual.how == Replay::Suspect || meets_expiry(dual)) return Doubt::Chance;
  if (exchange.compare && exchange.hashes_differ()) return Doubt::Replies;
  if (dual.leaves_out && dual.comparable && dual.told_otherwise()) return Doubt::Replies;
  // A blocked command may have put something there, of which its own copy had no turn yet.
  if (dual.spans_databases && dual.turn.met_blocked()) return Doubt::Spread;
  if (is_made_from_suspects(dual)) return Doubt::Spread;
  return std::nullopt;
}

// Whether anything is in the ledger, of whatever migration.
bool RedisSession::any_suspects() const {
  const LedgerDoor& ledger = interlay_.loop().shared_writes().ledger;
  return ledger.any && ledger.any();
}

// Whether one of its keys is in the ledger.
bool RedisSession::has_suspects(const DualWrite& dual) const {
  if (!any_suspects()) return false;
  const LedgerDoor& ledger = interlay_.loop().shared_writes().ledger;
  bool found = false;
  dual.for_each_key([&](std::int32_t db, std::string_view key) {
    found = found || ledger.right_of(*route_, db, key).has_value();
  });
  return found;
}

// Whether both sides made it from what may differ: then so may what they made.
bool RedisSession::is_made_from_suspects(const DualWrite& dual) const {
  if (!dual.spreads || !any_suspects()) return false;
  const Suspected suspected = interlay_.loop().shared_writes().ledger.suspected(*route_);
  if (suspected != Suspected::Some) return suspected == Suspected::All;
  // Alone, it takes along what is suspected: see swap_suspects.
  if (dual.swaps && dual.way == DualWrite::Way::Command) return false;
  return dual.sole || has_suspects(dual);
}

void RedisSession::conclude(Exchange& exchange) {
  DualWrite& dual = *exchange.dual;
  const std::optional<Doubt> doubt = doubt_of(exchange);
  const bool on_disk = doubt ? note(exchange, *doubt) : dual.swaps ? swap_suspects(dual) : true;
  dual.order->leave(dual.turn);
  if (std::exchange(dual.blocked, false)) dual.order->unblock(dual.turn);
  if (on_disk) {
    finish(exchange);
  } else {
    dual.waits_for_disk = true;
  }
}

// The side that was right so far may have what the other lacks, and keeps that where it took this
// write as well, or where nobody was told of it; else `otherwise`.
Side RedisSession::right_before(const DualWrite& dual, Side otherwise) const {
  const LedgerDoor& ledger = interlay_.loop().shared_writes().ledger;
  std::optional<Side> before;
  dual.for_each_key([&](std::int32_t db, std::string_view key) {
    if (!before && ledger.right_of) before = ledger.right_of(*route_, db, key);
  });
  return before.value_or(otherwise);
}

// Told on the loop's thread, unless nobody waits for it.
std::function<void(bool)> RedisSession::when_on_disk(DualWrite& dual) {
  if (!dual.session) return nullptr;
  return [&dual, &loop = loop()](bool) { loop.post([&dual] { RedisSession::noted(dual); }); };
}

// Two databases have changed places, and with them what is suspected. True: that is on disk.
bool RedisSession::swap_suspects(DualWrite& dual) {
  if (!any_suspects()) return true;
  return loop().shared_writes().ledger.swap(*route_, dual.swaps->first, dual.swaps->second,
                                            when_on_disk(dual));
}

// Puts the keys in the ledger. True: they are on disk.
bool RedisSession::note(const Exchange& exchange, Doubt doubt) {
  DualWrite* const dual = exchange.dual;
  const LedgerDoor& ledger = loop().shared_writes().ledger;
  counters().suspected.add();
  if (!ledger.note) return true;
  // best_effort: what the client was told of is right.
  const auto answer = static_cast<std::size_t>(exchange.answer);
  const auto beside = static_cast<std::size_t>(other(exchange.answer));
  const bool other_took_it = exchange.replied[beside] && !exchange.failed[beside];
  const bool other_is_right = exchange.either && exchange.failed[answer] && other_took_it;
  const bool alone = !exchange.failed[answer] && !dual->first_unknown && !other_took_it;
  const Side right = other_is_right ? other(exchange.answer)
                     : alone        ? exchange.answer
                                    : right_before(*dual, exchange.answer);
  if (route_ != newest_route() && right != newest_route()->authority()) mark(kByFormer);
  std::vector<Suspect> suspects;
  bool known = false;  // some keys are in the ledger as they should be, and may be all of them
  KnownSuspects& to_rely_on = interlay_.known_suspects();
  const bool teaches = route_ == newest_route() && !exchange.either && right == exchange.answer;
  const std::uint64_t period = teaches ? to_rely_on.period() : 0;
  if (!dual->sole) {
    dual->for_each_key([&](std::int32_t db, std::string_view key) {
      if (ledger.renote && ledger.renote(*route_, db, key, doubt, right)) {
        known = true;
        to_rely_on.learn(period, right, db, key);
      } else {
        suspects.push_back({{db, std::string(key)}, doubt, right});
      }
    });
  }
  if (known && suspects.empty()) return true;
  std::function<void(bool)> durable = when_on_disk(*dual);
  if (suspects.empty() || suspects.size() > kSuspectsMax) {
    return ledger.note_all(*route_,
                           std::string("a write whose keys are unknown: ") + name_of(doubt),
                           std::move(durable));
  }
  return ledger.note(*route_, std::move(suspects), std::move(durable));
}

// While writes go to both sides by the newest table: one of them may have what the other has not.
void RedisSession::mark(const char* why) {
  const LedgerDoor& ledger = loop().shared_writes().ledger;
  const InterlayRoute& newest = *newest_route();
  if (ledger.note_all && newest.authority()) ledger.note_all(newest, why, nullptr);
}

void RedisSession::noted(DualWrite& dual) {
  dual.waits_for_disk = false;
  RedisSession* const session = dual.session;
  if (!session) return put_if_free(dual);
  session->begin_event();
  session->finish(*dual.exchange);
  session->flush();
  session->end_event();
}

// Everything is known and written down: the answer may go.
void RedisSession::finish(Exchange& exchange) {
  retire(std::exchange(exchange.dual, nullptr));
  if (--unsettled_ == 0) unsettled_keys_ = 0;
  settle(exchange);
}

// --- writes that nobody answers

// Nobody will hear how it ends: its keys are suspected from the start, and copied. The other side
// gets no leg of its own: it could run that behind the copy, which nobody waits to see either.
void RedisSession::dual_silently(Pending& request) {
  DualWrite* const dual = std::exchange(next_write_, nullptr);
  if (!dual->sole || dual->way == DualWrite::Way::Transaction) {
    request.plan.second = Second::Nothing;
  }
  send_silently(request);
  note_unheard(*dual, request.plan.answer);
  if (!silent_) silent_ = begin_dual_write();
  silent_->sole = silent_->sole || dual->sole || silent_->keys.size() > settings().copy_max;
  dual->for_each_key([&](std::int32_t db, std::string_view key) {
    if (!silent_->sole) silent_->add_key(db, key);
  });
  silent_side_ = request.plan.answer;
  silent_behind_ = upstream(silent_side_).owed().back();
  silent_pause_ns_ = kSilencePauseNs;
  silent_again_at_ns_ = now_ns_ + silent_pause_ns_;
  give_back(dual);
}

// They may wait there behind a command that blocks or takes long: what repair has seen equal before
// they have run is suspected again. Ever more seldom, as the client may stay silent for good.
void RedisSession::note_silence_again() {
  if (!silent_ || silent_->sole || now_ns_ < silent_again_at_ns_) return;
  note_unheard(*silent_, silent_side_);
  silent_pause_ns_ = std::min(2 * silent_pause_ns_, kSilencePauseMaxNs);
  silent_again_at_ns_ = now_ns_ + silent_pause_ns_;
}

// A reply has come on that side. One to a request behind the silent writes says that they have run;
// what repair has seen before may have been too early.
void RedisSession::hear_behind_silence(const Upstream& up, const Exchange& answered,
                                       std::uint32_t complete) {
  if (!silent_ || up.side() != silent_side_) return;
  if (!silent_behind_) return end_silence(true);
  if (silent_behind_ == &answered && answered.count <= complete) silent_behind_ = nullptr;
}

// `known`: they have run, or never will. Else they still may, whenever that is.
void RedisSession::end_silence(bool known) {
  DualWrite* const dual = std::exchange(silent_, nullptr);
  if (!dual) return;
  if (!known) dual->sole = true;
  note_unheard(*dual, silent_side_);
  give_back(dual);
}

// Nobody will hear how it ended there, so nobody waits for the disk either.
void RedisSession::note_unheard(DualWrite& dual, Side answer) {
  Exchange unheard;
  unheard.answer = answer;
  unheard.dual = &dual;
  dual.session = nullptr;
  note(unheard, Doubt::Unanswered);
}

// --- later requests

// A read whose key may be behind on the side that it is planned for is answered by the authority:
// the ledger has it, or this session has just written it and does not know yet how that ended.
void RedisSession::keep_from_stale(Pending& request, const RequestCutter& cutter) {
  const std::optional<Side> authority = route_->authority();
  if (!authority || request.plan.answer == *authority) return;
  const bool suspect = is_suspect(request.facts, cutter, request.bytes);
  if (suspect) counters().suspect_reads.add();
  if (suspect || follows_own_write(request.facts)) request.plan = Plan{.answer = *authority};
}

bool RedisSession::is_suspect(const RequestFacts& facts, const RequestCutter& cutter,
                              std::string_view bytes) const {
  if (facts.key_count == 0 || !any_suspects()) return false;
  const LedgerDoor& ledger = interlay_.loop().shared_writes().ledger;
  bool found = false;
  for_each_key(*facts.spec, cutter, bytes, [&](std::string_view key) {
    found = found || ledger.suspects(*route_, selected_db(), key);
  });
  return found;
}

// Whether the ledger is known to have all its keys while the other side is down, and repair rests:
// then there is nothing to put in order and nothing to note. It counts as in flight from here on.
bool RedisSession::relies_on_ledger(const Pending& request, const RequestCutter& cutter) {
  const RequestFacts& facts = request.facts;
  const Plan& plan = request.plan;
  KnownSuspects& known = interlay_.known_suspects();
  if (!known.any(plan.answer) || route_ != newest_route() || plan.either ||
      !interlay_.down(other(plan.answer)) || reply_mode_ != ReplyMode::On || facts.blocks ||
      !facts.spec || facts.key_count == 0 || writes_elsewhere(*facts.spec)) {
    return false;
  }
  bool all = true;
  const bool clear = for_each_key(*facts.spec, cutter, request.bytes, [&](std::string_view key) {
    all = all && known.has(selected_db(), key);
  });
  if (!clear || !all || !known.rely()) return false;
  probe(upstream(other(plan.answer)));
  counters().suspected.add();
  return true;
}

}  // namespace crossfade::redis
