// Writes to both sides, once they have their turn (session_turns.cc): both legs.
//
//   1. Both legs begin at once where equal servers do equal things; else the second leg is made
//      from the first one's reply, and from what the first side answers to questions behind it
//      (resolve). A gate keeps what the session sends to the second side later behind it.
//   2. When both legs are over, or given up, the outcomes are compared (session_ledger.cc).
//
// Blocking commands do not keep a turn while they block: first they are tried inside of a
// transaction, where they do not; if that gives nothing, they block without a turn, and their keys
// are copied afterwards. Writes that meet a blocked command at their keys copy them, too. Who may
// not use MULTI or EXEC is not tried for: what it sends blocks without a turn at once.
#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "protocols/redis/command_bytes.h"
#include "protocols/redis/reply_view.h"
#include "proxy/loop.h"
#include "proxy/redis/session.h"

namespace crossfade::redis {

namespace {

constexpr std::string_view kWhoAmI =
    "*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n*2\r\n$6\r\nCLIENT\r\n$4\r\nINFO\r\n";
constexpr std::string_view kAbortedCode = "-EXECABORT";
// No database has this number: whichever is wanted next is selected.
constexpr std::uint32_t kUnknownDb = std::numeric_limits<std::uint32_t>::max();
// EXEC's reply to one command: "*1\r\n", and then the command's own.
constexpr std::size_t kAroundOne = 4;
// Enough of it to see whether that is null, or it is an error.
constexpr std::size_t kTellsNull = kAroundOne + 5;

// Errors of scripts that were not begun, and so have written nothing. A script may answer with any
// words of its own, but hardly with a server's whole sentences about scripts.
bool is_refusal(std::string_view reply) {
  for (const char* words :
       {"-NOSCRIPT No matching script. Please use EVAL.", "-NOAUTH Authentication required.",
        "-NOPERM this user has no permissions to run the 'eval",
        "-NOPERM this user has no permissions to run the 'fcall",
        "-NOPERM this user has no permissions to access one of the keys used as arguments",
        "-ERR wrong number of arguments for 'eval", "-ERR wrong number of arguments for 'fcall",
        "-ERR Number of keys can't be "}) {
    if (reply.starts_with(words)) return true;
  }
  return false;
}

// What is read for a group is repeated by its effect; nothing that blocks takes entries out of a
// stream.
bool is_of_streams(const CommandSpec* spec) { return spec && spec->name.starts_with('x'); }

}  // namespace

// --- both legs

// False: nothing was sent, and the client was told so.
bool RedisSession::dispatch_dual(Pending& request) {
  DualWrite& dual = *next_write_;
  Plan& plan = request.plan;
  if (reply_mode_ != ReplyMode::On) {
    dual_silently(request);
    return true;
  }
  constexpr auto kNeeded = Interlay::Use::Needed;
  if (!reach(upstream(plan.answer), kNeeded)) {
    if (!plan.either || !reach(upstream(other(plan.answer)), kNeeded)) {
      give_back_next();
      skip_streaming();
      unreachable(plan.answer);
      return false;
    }
    drop_second(Second::Write, Drop::SideDown);  // best_effort: the other side alone
    plan = Plan{.answer = other(plan.answer)};
    dual.second = DualWrite::Leg::Unsent;
  }
  next_write_ = nullptr;
  Upstream& up = upstream(plan.answer);
  count(request, plan.answer);
  bring_up_to_date(up);
  const bool meets_blocked =
      dual.turn.met_blocked() && (dual.spreads || !is_of_streams(request.facts.spec));
  if (!dual.sole && !dual.spans_databases && !dual.is_late() &&
      (meets_blocked || meets_expiry(dual) ||
       (!plan.either && dual.spreads && has_suspects(dual)))) {
    dual.how = Replay::Copy;
  }
  Exchange* const exchange = new_exchange(request);
  exchange->special = true;
  exchange->dual = &dual;
  dual.exchange = exchange;
  ++unsettled_;
  unsettled_keys_ |= dual.sole || dual.way == DualWrite::Way::Transaction
                         ? ~std::uint64_t{0}
                         : keys_mask(request.facts);
  if (!dual.starts_at_once() && !dual.is_late()) exchange->compare = false;
  if (exchange->change) ++state_pending_;
  if (exchange->blocks) {
    ++blocking_;
    ++attempts_;
    blocking_side_ = plan.answer;
  }
  queue_.push(exchange);
  up.owe(exchange);
  if (dual.is_late()) {
    dual.request.assign(request.bytes);
    dual.queued.push_back({0, request.bytes.size(), request.facts.spec, dual.how});
    if (dual.way == DualWrite::Way::Attempt) {
      exchange->count = 3;
      up.send_copy(std::string(kMulti).append(request.bytes).append(kExec));
    } else {
      stand_blocked(*exchange);
      up.send_copy(dual.request);
    }
  } else {
    if (dual.way == DualWrite::Way::Command && request.whole &&
        (dual.how != Replay::Same || dual.after_first || exchange->either)) {
      dual.request.assign(request.bytes);
      dual.queued.push_back({0, request.bytes.size(), request.facts.spec, dual.how});
    }
    up.send(request.bytes);
  }
  counters().server_out.add(request.bytes.size());
  if (dual.second == DualWrite::Leg::UnderWay && !dual.is_late()) {
    second_sent_ = begin_second(*exchange, request.whole ? request.bytes : std::string_view());
    if (!request.whole && second_sent_) {
      upstream(other(plan.answer)).send(request.bytes);
    }
    // What is repeated in another way is answered in another way.
    const bool alike = dual.how == Replay::Same || dual.how == Replay::Expiry;
    if (second_sent_ && alike) keep_pair(*exchange, request);
  }
  if (exchange->is_data_write() && plan.answer == Side::New && !second_sent_) {
    counters().new_only_writes.add();
  }
  if (!request.whole) {
    streaming_->answer_side = plan.answer;
    streaming_->second = second_sent_;
    if (dual.has_rest() && second_sent_) {
      dual.asking = true;
      streaming_->asks = exchange;
    }
  } else if (second_sent_) {
    ask(*exchange);
  }
  return true;
}

// Asks the second side who the connection is, once: should it be given up in the midst of a
// write, the server can be told to forget it. Nothing is written there before that is known. The
// answering side is not asked, as its clients could see it in MONITOR: it is given up after
// answer_timeout_ms only.
void RedisSession::identify(Upstream& up) {
  if (std::exchange(up.identified, true)) return;
  send_internal(up, kWhoAmI, 2);
  up.owed().back()->identity = true;
  up.owed().back()->gate = up.close_gate();
}

// From the replies to that.
ServersClient RedisSession::client_in(std::string_view told) {
  constexpr std::string_view kAddress = " addr=";
  ServersClient client;
  client.id = integer_in(told.substr(0, told.find('\n') + 1)).value_or(0);
  if (const std::size_t at = told.find(kAddress); at != told.npos) {
    const std::string_view rest = told.substr(at + kAddress.size());
    client.address = rest.substr(0, rest.find(' '));
  }
  return client;
}

// The connection is given up by us: what it carries may still be run.
void RedisSession::forsake(Upstream& up) {
  if (up.state() != Upstream::State::Ready || !writes_) return;
  bool writing = false;
  for (const Exchange* one = up.owed().front(); one && !writing; one = up.owed().after(one)) {
    if (one->identity) return;  // the writes behind it were never sent
    writing = one->dual != nullptr || one->relies;
  }
  if (!writing) return;
  const auto side = static_cast<std::size_t>(up.side());
  if (up.client.id > 0) {
    writes_->ghosts[side].add(up.client);
  } else if (const LedgerDoor& ledger = loop().shared_writes().ledger; ledger.note_all) {
    ledger.note_all(
        *route_,
        "a connection was given up in the midst of a write, and its server does not tell "
        "its id (CLIENT ID)",
        nullptr);
  }
}

// Once per back-off a PING of ours asks a side that is down: no client waits for it.
void RedisSession::probe(Upstream& up) {
  if (!reach(up, Interlay::Use::Dispensable)) return;
  if (up.owed().empty()) send_internal(up, kPing, 1);
  loop().mark_busy(*this);
}

// Begins the second leg: sends it, or keeps its place. False: not possible; counted.
bool RedisSession::begin_second(Exchange& exchange, std::string_view bytes) {
  DualWrite& dual = *exchange.dual;
  SecondCounters& counts = second_counters(exchange);
  Upstream& up = upstream(other(exchange.answer));
  dual.second_begun = true;
  counts.eligible.add();
  const auto drop = [&](Drop why) {
    counts.drop(why);
    dual.second = DualWrite::Leg::Unsent;
    return false;
  };
  if (interlay_.second_inflight >= settings().second_inflight_max ||
      overfills(up, std::max(bytes.size(), dual.request.size()))) {
    return drop(Drop::Overflow);
  }
  if (up.refused_version == state_version_) return drop(Drop::StateRefused);
  if (dual.too_big || (dual.how == Replay::Copy && (dual.sole || dual.spans_databases)) ||
      (bytes.empty() && !dual.starts_at_once() && dual.request.empty())) {
    return drop(Drop::Oversize);
  }
  if (interlay_.down(up.side())) {
    probe(up);
    return drop(Drop::SideDown);
  }
  if (!reach(up, Interlay::Use::Dispensable)) return drop(Drop::SideDown);
  bring_up_to_date(up);
  identify(up);
  ++interlay_.second_inflight;
  ++second_writes_;
  if (exchange.change) {  // SELECT inside of EXEC: what comes of it there is not known
    up.applied.db = kUnknownDb;
    up.applied_version = 0;
  }
  up.owe(&exchange);
  exchange.second_count = 1;
  if (dual.starts_at_once()) {
    up.send(bytes);
    counters().server_out.add(bytes.size());
    if (dual.has_rest()) exchange.second_count = 2;
  }
  const bool streams = bytes.empty() && dual.starts_at_once();
  if (!streams && (!dual.starts_at_once() || dual.has_rest())) dual.gate = up.close_gate();
  return true;
}

// Asks the answering side what the second leg is made from.
void RedisSession::ask(Exchange& exchange) {
  DualWrite& dual = *exchange.dual;
  if (dual.cannot || (dual.starts_at_once() && !dual.has_rest())) return;
  std::string questions;
  dual.questions = dual.append_questions(questions);
  if (dual.questions == 0) return;
  Upstream& up = upstream(exchange.answer);
  send_internal(up, questions, dual.questions);
  up.owed().back()->asks = true;
  up.owed().back()->dual = &dual;
  dual.asking = true;
}

// The last bytes of a big write are on their way: its questions may follow.
void RedisSession::streamed_dual() {
  Exchange* const exchange = streaming_->asks;
  if (!exchange) return;
  DualWrite& dual = *exchange->dual;
  dual.asking = false;
  Upstream& beside = upstream(other(exchange->answer));
  if (streaming_->answer && streaming_->second && (exchange->owed & bit(beside.side())) != 0) {
    dual.gate = beside.close_gate();
    if (dual.how == Replay::Expiry) dual.stand_in();
    ask(*exchange);
  }
  advance(*exchange);
}

// --- the first leg's replies

void RedisSession::dual_answer(Upstream& up, Exchange& exchange, std::string_view bytes,
                               bool complete, bool error) {
  DualWrite& dual = *exchange.dual;
  dual.order->fetch(dual.turn);
  if (dual.way == DualWrite::Way::Attempt) {
    return attempt_answer(up, exchange, bytes, complete, error);
  }
  if (exchange.compare) note_reply(exchange, up.side(), bytes, complete);
  if (dual.makes_from_reply()) dual.keep(dual.reply, bytes, settings().copy_max);
  // All but the end of an answer may go out: without it, the client has none.
  const bool inside_push = client_mid_push_ && up.side() != anchor();
  if (!complete && queue_.front() == &exchange && exchange.held.empty() && !exchange.either &&
      !inside_push) {
    exchange.started = true;
    client_.write(bytes);
    counters().client_out.add(bytes.size());
    client_mid_frame_ = true;
  } else {
    hold(exchange, bytes);
  }
  if (!complete) return;
  dual.first_null = up.null_reply();
  if (error && is_refusal(exchange.held)) dual.partial = false;
  if (exchange.moves && dual.first_null) {
    exchange.change.reset();
    --state_pending_;
  }
  ++answered_in_event_;
  exchange.count = 0;
  up.owed().pop();
  answer_complete(up, exchange, error);
}

// MULTI, the blocking command, EXEC: of their replies the client gets the command's own.
void RedisSession::attempt_answer(Upstream& up, Exchange& exchange, std::string_view bytes,
                                  bool complete, bool error) {
  DualWrite& dual = *exchange.dual;
  if (dual.step < 2) {
    dual.reply.append(bytes);
    if (!complete) return;
    --exchange.count;
    if (dual.step++ == 0 && error) return block_behind_refusal(up, exchange);
    if (error) {
      dual.refused = true;
      hold(exchange, dual.reply);
    }
    dual.reply.clear();
    return;
  }
  if (exchange.compare) note_reply(exchange, up.side(), bytes, complete);
  bool nothing = false;  // was run, or given
  if (!dual.refused) {
    const bool begins = dual.reply.size() < kTellsNull || is_error(dual.reply);
    if (begins) dual.reply.append(bytes);
    if (!complete && (dual.reply.size() < kTellsNull || is_error(dual.reply))) return;
    const std::string_view seen(dual.reply);
    const std::string_view inner = error ? seen : seen.substr(std::min(kAroundOne, seen.size()));
    const bool aborted = error && seen.starts_with(kAbortedCode);
    if (aborted) remember_refusal(seen);
    nothing = aborted || (complete && begins && is_null(inner));
    if (!nothing) hold(exchange, begins ? inner : bytes);
  }
  if (!complete) return;
  up.owed().pop();
  exchange.count = 0;
  if (nothing) return block(up, exchange);
  ++answered_in_event_;
  if (dual.refused) {
    dual.first_null = error = true;
    exchange.compare = false;
  }
  answer_complete(up, exchange, error);
}

// Nothing to be had: it blocks, as the client wants it to. The turn is given back; others may give
// it what it waits for.
void RedisSession::block(Upstream& up, Exchange& exchange) {
  exchange.hash[static_cast<std::size_t>(up.side())].reset();
  exchange.count = 1;
  exchange.sent_at_ns = now_ns_;
  up.owe(&exchange);
  stand_blocked(exchange);
  up.send_copy(exchange.dual->request);
}

// MULTI was refused. What was sent behind it runs without, and may block already; behind that comes
// the server's word on EXEC, for nobody.
void RedisSession::block_behind_refusal(Upstream& up, Exchange& exchange) {
  remember_refusal(exchange.dual->reply);
  exchange.count = 1;
  stand_blocked(exchange);
  Exchange* const exec = loop().exchanges().get();
  exec->internal = exec->special = true;
  exec->count = 1;
  exec->answer = up.side();
  exec->sent_at_ns = now_ns_;
  up.owe(exec);
}

// Of rights, which stay what they are until the session's state changes.
void RedisSession::remember_refusal(std::string_view reply) {
  if (reply.find("NOPERM") != reply.npos) unattempted_version_ = state_version_;
}

// From here on it may be given something at any moment, and others may have come before: what it
// takes is copied. It keeps no turn, nor the memory of one that it gave up.
void RedisSession::stand_blocked(Exchange& exchange) {
  DualWrite& dual = *exchange.dual;
  dual.way = DualWrite::Way::Blocked;
  dual.reply.clear();
  exchange.compare = is_of_streams(dual.queued.front().spec);
  if (!exchange.compare) dual.how = Replay::Copy;
  dual.blocked = true;
  dual.order->block(dual.turn);
  dual.order->leave(dual.turn);  // behind that: who comes next must meet it
  dual.granted = dual.gave_up = false;
  dual.wanted_at_ns = 0;
}

// The second leg will never be answered.
void RedisSession::dual_lost(Upstream&, Exchange& exchange, bool never_sent) {
  DualWrite& dual = *exchange.dual;
  const bool waits_behind_gate = !dual.resolved && !dual.starts_at_once();
  dual.second = never_sent || waits_behind_gate ? DualWrite::Leg::Unsent : DualWrite::Leg::Unknown;
  advance(exchange);
}

// --- the second leg's bytes

// One leg is over, or has news.
void RedisSession::advance(Exchange& exchange) {
  DualWrite& dual = *exchange.dual;
  const bool first_over = exchange.replied[static_cast<std::size_t>(exchange.answer)];
  if (!first_over || dual.asking || dual.waits_for_disk) return;
  if (!dual.resolved && !resolve(exchange)) return;
  if ((exchange.owed & bit(other(exchange.answer))) != 0) return;
  conclude(exchange);
}

// The first leg is over: gives the second one the rest of its bytes. False: not yet.
bool RedisSession::resolve(Exchange& exchange) {
  DualWrite& dual = *exchange.dual;
  const bool failed = exchange.failed[static_cast<std::size_t>(exchange.answer)];
  const bool no_effect = failed && !(dual.partial && dual.how == Replay::Copy);
  const bool nothing = no_effect || dual.did_nothing() || dual.first_unknown || dual.cannot;
  if (dual.is_late() && !nothing && dual.second == DualWrite::Leg::UnderWay && !dual.second_begun) {
    if (dual.way == DualWrite::Way::Blocked) {
      if (dual.wanted_at_ns == 0 && !take_turn(dual)) return false;
      if (!dual.granted && !dual.gave_up) return false;
    }
    second_sent_ = begin_second(exchange, {});
    if (second_sent_ && dual.how == Replay::Copy) ask(exchange);
    if (dual.asking) return false;
  }
  dual.resolved = true;
  dual.resolved_at_ns = now_ns_;
  if (!nothing && dual.has_swapped()) {
    writes_->expiries.swap(dual.swaps->first, dual.swaps->second);
  }
  Upstream& up = upstream(other(exchange.answer));
  if ((exchange.owed & bit(up.side())) == 0) return true;
  if (dual.starts_at_once() && !dual.has_rest()) return true;
  if (dual.gate == 0) {  // a big write that was cut off before its questions
    --exchange.second_count;
    return true;
  }
  std::string out;
  std::uint32_t count = 0;
  const bool rest = dual.starts_at_once();
  if (nothing && !rest) {
    dual.skipped = true;
    if (exchange.either && !dual.did_nothing() && dual.way == DualWrite::Way::Command) {
      dual.skipped = false;  // best_effort: what the first side could not do
      out = dual.request;
      count = 1;
    }
  } else if (dual.after_first) {
    out = dual.request;
    count = 1;
  } else if (const auto leg = dual.append_second_leg(out)) {
    count = leg->count;
    dual.behind = leg->behind;
    dual.leaves_out = leg->leaves_out;
    if (dual.way == DualWrite::Way::Transaction && leg->is_same && dual.comparable) {
      exchange.compare = true;
      exchange.hash[static_cast<std::size_t>(exchange.answer)].add(dual.reply, true);
    }
  } else {
    dual.cannot = true;
    dual.skipped = !rest;
  }
  if (count == 0) {  // the place in the queue is taken: it gets something to answer
    out = kPing;
    count = 1;
  }
  exchange.second_count = rest ? exchange.second_count - 1 + count : count;
  learn_expiry(dual);
  counters().server_out.add(out.size());
  up.open_gate(dual.gate, out);
  return true;
}

}  // namespace crossfade::redis
