// The turns of dual writes: a write waits for its place among the writes of its keys, and the
// session's requests wait with it. What is known of expiries, as a write that meets one is told
// apart before it begins, and what a transaction will want.
#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "proxy/clock.h"
#include "proxy/loop.h"
#include "proxy/redis/session.h"

namespace crossfade::redis {

namespace {

// Of these, what one key comes to does not hang on another one.
bool keeps_keys_apart(const CommandSpec* spec) {
  if (!spec) return false;
  constexpr std::string_view kApart[] = {"del", "flushall", "flushdb", "mset", "unlink"};
  return std::find(std::begin(kApart), std::end(kApart), spec->name) != std::end(kApart) ||
         spec->name.starts_with("function") || spec->name.starts_with("script");
}

std::optional<std::uint32_t> number_in(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

DualWrite* RedisSession::begin_dual_write() {
  DualWrite* const dual = loop().dual_writes().get();
  dual->loop = &loop();
  dual->session = this;
  dual->order = &writes_->order;
  dual->turn.owner = turn_owner();
  if (dual->commands != route_->commands) dual->commands = route_->commands;
  return dual;
}

// COPY … DB n and MOVE write a key in another database, too; SWAPDB all keys of two.
void RedisSession::add_key_elsewhere(DualWrite& dual, const CommandSpec* spec,
                                     std::span<const std::string_view> args,
                                     std::int32_t db) const {
  if (!spec) return;
  if (spec->name == "swapdb" && args.size() == 3) {
    const auto one = number_in(args[1]);
    const auto other = number_in(args[2]);
    if (one && other) dual.swaps.emplace(named_db(*one), named_db(*other));
    dual.swaps_at = dual.queued.size();
  }
  const auto elsewhere = key_elsewhere(*spec, args);
  const auto to = elsewhere ? number_in(elsewhere->db) : std::nullopt;
  if (!to) return;
  dual.add_key(named_db(*to), elsewhere->key);
  dual.elsewhere.push_back({dual.queued.size(), db, named_db(*to)});
  dual.spans_databases = true;
}

// What the request writes, and how that is repeated.
DualWrite* RedisSession::dual_write_of(const Pending& request, const RequestCutter& cutter) {
  DualWrite* const dual = begin_dual_write();
  const RequestFacts& facts = request.facts;
  std::vector<std::string_view>& args = loop().args();
  args.clear();
  for (std::size_t i = 0; i < cutter.arg_count(); ++i) args.push_back(cutter.arg(i, request.bytes));
  dual->sole = !facts.spec || facts.key_count == 0 ||
               !for_each_key(*facts.spec, cutter, request.bytes,
                             [&](std::string_view key) { dual->add_key(selected_db(), key); });
  dual->asked_db = selected_db();
  add_key_elsewhere(*dual, facts.spec, args, dual->asked_db);
  dual->order->fetch(dual->turn);
  dual->spreads =
      (dual->sole || facts.key_count > 1 || dual->spans_databases) && !keeps_keys_apart(facts.spec);
  dual->partial =
      facts.spec && (facts.spec->repeat == Repeat::Script || facts.spec->repeat == Repeat::Hidden);
  dual->how = replay_of(facts.spec, args, request.whole);
  if (dual->sole && dual->how == Replay::Expiry) dual->how = Replay::Suspect;
  if (dual->sole && dual->how == Replay::Copy) dual->how = Replay::Suspect;
  dual->after_first = dual->sole && facts.spec && !dual->partial && request.whole &&
                      dual->how == Replay::Same && request.bytes.size() <= settings().copy_max;
  return dual;
}

// False: others are before it.
bool RedisSession::await_turn(const Pending& request, const RequestCutter& cutter) {
  if (next_write_) return next_write_->granted || next_write_->gave_up;
  DualWrite* const dual = next_write_ = dual_write_of(request, cutter);
  if (request.facts.blocks && request.whole) {
    // An EXEC of ours would end the client's WATCH, or be refused: it blocks at once. What is
    // before it is over by then, and what comes behind it meets it.
    const bool at_once = watches_ > 0 || unattempted_version_ == state_version_;
    dual->way = at_once ? DualWrite::Way::Blocked : DualWrite::Way::Attempt;
  }
  return take_turn(*dual);
}

// Writes go to both sides from now on, by the newest table. What blocks may be given something at
// any moment: it goes over to that table, as a dual write. What else is under way by the former one
// is told of when it ends.
void RedisSession::begin_to_write_both() {
  begin_event();
  if (streaming_ && streaming_->answer && !queue_.empty()) leave_to_former(*queue_.back());
  if (blocking_ > 0) {
    const bool goes_over = take_route_up() && route_ == newest_route();
    for (Exchange* one = queue_.front(); one; one = one->next) {
      if (!one->blocks || one->kind != Kind::Write || one->dual) continue;
      if (!goes_over || !stand_in_order(*one)) leave_to_former(*one);
    }
  }
  end_event();
}

void RedisSession::leave_to_former(Exchange& exchange) {
  exchange.former = exchange.special = true;
  mark(kFormer);
}

// False: it blocks on a side that is not right, or has its answer already.
bool RedisSession::stand_in_order(Exchange& exchange) {
  if (exchange.answer != *route_->authority() || exchange.started || exchange.answered ||
      !exchange.held.empty()) {
    return false;
  }
  RequestCutter cutter;
  (void)cutter.advance(exchange.request);
  const auto facts = facts_of(*route_->commands, cutter, exchange.request, true);
  if (!facts || facts->key_count == 0) return false;
  Pending request;
  request.facts = *facts;
  request.bytes = exchange.request;
  DualWrite* const dual = dual_write_of(request, cutter);
  dual->request = exchange.request;
  dual->queued.push_back({0, dual->request.size(), facts->spec, dual->how});
  dual->exchange = &exchange;
  exchange.dual = dual;
  exchange.second = Second::Write;
  ++unsettled_;
  unsettled_keys_ |= keys_mask(*facts);
  ++attempts_;
  stand_blocked(exchange);
  return true;
}

bool RedisSession::take_turn(DualWrite& dual) {
  dual.turn.sole = dual.sole;
  dual.wanted_at_ns = now_ns_;
  // While no expiry is known none can be met, and the clock need not be asked.
  if (dual.wanted_at_ms == 0 && writes_->expiries.any()) {
    dual.wanted_at_ms = unix_ms();
  }
  dual.granted = dual.order->take(dual.turn);
  if (!dual.granted) {
    counters().order_waits.add();
    loop().mark_busy(*this);
  }
  return dual.granted;
}

bool RedisSession::await_transaction_turn() {
  DualWrite& dual = *transaction_write_;
  if (dual.wanted_at_ns != 0) return dual.granted || dual.gave_up;
  dual.way = DualWrite::Way::Transaction;
  dual.spreads = true;
  return take_turn(dual);
}

void RedisSession::on_turn(WriteOrder::Turn& turn) {
  auto& dual = *static_cast<DualWrite*>(turn.context);
  dual.news = true;
  dual.loop->post([&dual] { turn_came(dual); });
}

// On the loop's thread. Whoever waited may be gone, or may have given up.
void RedisSession::turn_came(DualWrite& dual) {
  dual.news = false;
  RedisSession* const session = dual.session;
  if (!session) return put_if_free(dual);
  if (dual.gave_up) return;
  dual.granted = true;
  session->begin_event();
  if (dual.exchange) {
    session->advance(*dual.exchange);
  } else if (session->stalled_) {
    session->resume();
  }
  session->flush();
  session->end_event();
}

// It goes ahead, and its keys are suspected: from now on, where it is under way.
void RedisSession::give_up_turn(DualWrite& dual) {
  counters().hit(Limit::OrderWait);
  dual.order->leave(dual.turn);
  dual.gave_up = true;
  if (dual.granted && dual.exchange) note_early(*dual.exchange);
}

// Its end will be noted as well, and waited for; nobody waits for this.
void RedisSession::note_early(Exchange& exchange) {
  RedisSession* const session = std::exchange(exchange.dual->session, nullptr);
  note(exchange, Doubt::Order);
  exchange.dual->session = session;
}

void RedisSession::check_turns() {
  const std::uint64_t limit_ns = settings().order_wait_ms * kNsPerMs;
  const auto is_over = [&](const DualWrite* dual) {
    return dual && dual->wanted_at_ns != 0 && !dual->granted && !dual->gave_up &&
           now_ns_ > dual->wanted_at_ns + limit_ns;
  };
  for (DualWrite* const dual : {next_write_, transaction_write_}) {
    if (!is_over(dual)) continue;
    give_up_turn(*dual);
    resume();
  }
  // Nor does a client that does not read what it has asked for.
  if (slow_since_ns_ != 0 && now_ns_ > slow_since_ns_ + limit_ns) {
    for (Exchange* one = queue_.front(); one; one = one->next) {
      if (one->dual && one->dual->granted && !one->dual->gave_up) give_up_turn(*one->dual);
    }
  }
  // A client that stops in the midst of a big write holds up nobody for longer than that either.
  Exchange* const last = queue_.back();
  if (streaming_ && last && last->dual && !last->dual->gave_up &&
      now_ns_ > last->dual->wanted_at_ns + limit_ns) {
    give_up_turn(*last->dual);
  }
  Exchange* const front = queue_.front();
  if (front && front->dual && front->dual->way == DualWrite::Way::Blocked && is_over(front->dual)) {
    give_up_turn(*front->dual);
    advance(*front);
  }
}

void RedisSession::give_back(DualWrite* dual) {
  if (!dual) return;
  dual->order->leave(dual->turn);
  if (std::exchange(dual->blocked, false)) dual->order->unblock(dual->turn);
  retire(dual);
}

void RedisSession::give_back_next() { give_back(std::exchange(next_write_, nullptr)); }

// Into the pool, or, where news of it is under way, as soon as that has come.
void RedisSession::retire(DualWrite* dual) {
  dual->session = nullptr;
  dual->exchange = nullptr;
  put_if_free(*dual);
}

void RedisSession::put_if_free(DualWrite& dual) {
  if (!dual.news && !dual.waits_for_disk) dual.loop->dual_writes().put(&dual);
}

// --- expiries

// A key's expiry is known: writes that meet it will be repeated by copying.
void RedisSession::learn_expiry(const DualWrite& dual) {
  if (!writes_ || (dual.questions == 0 && dual.elsewhere.empty())) return;
  Expiries& known = writes_->expiries;
  const std::uint64_t now_ms = unix_ms();
  bool kept = true;
  for (const DualWrite::KeyExpiry& one : dual.expiries()) {
    kept = known.set(one.db, one.key, one.at_ms, now_ms) && kept;
  }
  for (const DualWrite::Carried& one : dual.carried()) {
    const auto at_ms = known.of(one.from_db, one.from);
    kept = (!at_ms || known.set(one.to_db, one.to, *at_ms, now_ms)) && kept;
  }
  if (const LedgerDoor& ledger = loop().shared_writes().ledger; !kept && ledger.note_all) {
    ledger.note_all(*route_, kExpiriesFull, nullptr);
  }
}

bool RedisSession::meets_expiry(const DualWrite& dual) const {
  if (!writes_ || !writes_->expiries.any()) return false;
  const std::uint64_t now_ms = unix_ms();
  bool found = false;
  dual.for_each_key([&](std::int32_t db, std::string_view key) {
    found = found || writes_->expiries.meets(db, key, dual.wanted_at_ms, now_ms);
  });
  return found;
}

// --- transactions

// A command of an open transaction: the other side gets it with EXEC's reply.
void RedisSession::record_queued(const Pending& request, const RequestCutter& cutter) {
  DualWrite& dual = *transaction_write_;
  const RequestFacts& facts = request.facts;
  const auto& change = transaction_.change;
  const std::int32_t db = change && change->db ? named_db(*change->db) : selected_db();
  dual.asked_db = db;
  dual.selects = dual.selects || (change && change->db);
  const bool writes = facts.kind == Kind::Write;
  if (writes || facts.kind == Kind::Read) {
    const bool clear = facts.spec && facts.key_count > 0 &&
                       for_each_key(*facts.spec, cutter, request.bytes,
                                    [&](std::string_view key) { dual.add_key(db, key); });
    if (writes && !clear) dual.sole = true;
  }
  if (dual.keys.size() > settings().copy_max) dual.sole = true;
  if (!request.whole || dual.request.size() + request.bytes.size() > settings().copy_max) {
    dual.too_big = true;
    return;
  }
  std::vector<std::string_view>& args = loop().args();
  args.clear();
  for (std::size_t i = 0; i < cutter.arg_count(); ++i) args.push_back(cutter.arg(i, request.bytes));
  if (writes) add_key_elsewhere(dual, facts.spec, args, db);
  Replay how = writes ? replay_of(facts.spec, args, true) : Replay::Same;
  std::string questions;
  if (how == Replay::Made &&
      append_questions(how, facts.spec, args, {}, *dual.commands, questions) > 0) {
    how = Replay::Copy;  // what it would be made from can be asked behind EXEC only
  }
  if (how == Replay::Copy) dual.how = Replay::Copy;
  if (how == Replay::Suspect && dual.how != Replay::Copy) dual.how = Replay::Suspect;
  dual.comparable = dual.comparable && facts.comparable;
  dual.queued.push_back({dual.request.size(), request.bytes.size(), facts.spec, how});
  dual.request.append(request.bytes);
}

}  // namespace crossfade::redis
