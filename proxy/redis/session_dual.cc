// Writes to both sides: their turn among the writes of their keys, both legs, and what is put in
// the ledger before the client hears of it.
//
//   1. A write takes its turn (await_turn); until it has it, the session's requests wait.
//   2. Both legs begin at once where equal servers do equal things; else the second leg is made
//   from
//      the first one's reply, and from what the first side answers to questions behind it
//      (resolve). A gate keeps what the session sends to the second side later behind it.
//   3. When both legs are over, or given up, the outcomes are compared (conclude). Keys that may
//   differ
//      are in the ledger, on disk, before the answer is let go (finish).
//
// Blocking commands do not keep a turn while they block: first they are tried inside of a
// transaction, where they do not; if that gives nothing, they block without a turn, and their keys
// are copied afterwards. Writes that meet a blocked command at their keys copy them, too.
#include <algorithm>
#include <cassert>
#include <charconv>
#include <chrono>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "protocols/redis/command_bytes.h"
#include "protocols/redis/reply_view.h"
#include "protocols/redis/word.h"
#include "proxy/loop.h"
#include "proxy/redis/session.h"

namespace crossfade::redis {

namespace {

constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";
constexpr std::string_view kWhoAmI =
    "*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n*2\r\n$6\r\nCLIENT\r\n$4\r\nINFO\r\n";
constexpr std::string_view kMulti = "*1\r\n$5\r\nMULTI\r\n";
constexpr std::string_view kExec = "*1\r\n$4\r\nEXEC\r\n";
constexpr std::uint64_t kNsPerMs = 1'000'000;
// No database has this number: whichever is wanted next is selected.
constexpr std::uint32_t kUnknownDb = std::numeric_limits<std::uint32_t>::max();
// EXEC's reply to one command: "*1\r\n", and then the command's own.
constexpr std::size_t kAroundOne = 4;
// Enough of it to see whether that is null.
constexpr std::size_t kTellsNull = kAroundOne + 5;
// More keys than this are not written down one by one.
constexpr std::size_t kSuspectsMax = 10'000;

std::uint64_t unix_ms() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

// Errors of commands that were not begun: not even a script has written anything.
bool is_refusal(std::string_view reply) {
  for (const char* words : {"-NOSCRIPT ", "-NOPERM ", "-NOAUTH ", "-ERR unknown ", "-ERR wrong ",
                            "-ERR Number of keys ", "-OOM ", "-READONLY ", "-LOADING "}) {
    if (reply.starts_with(words)) return true;
  }
  return false;
}

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

bool replied_alike(const Exchange& exchange) {
  return exchange.compare && exchange.both_hashed() && !exchange.hashes_differ();
}

// Also writes a key of a database that it names.
bool writes_elsewhere(const CommandSpec& spec) {
  return spec.name == "move" || spec.name == "copy";
}

bool is_stream_read(const CommandSpec* spec) { return spec && spec->name.starts_with("xread"); }

}  // namespace

// --- turns

DualWrite* RedisSession::begin_dual_write() {
  DualWrite* const dual = loop().dual_writes().get();
  dual->loop = &loop();
  dual->session = this;
  dual->order = &interlay_.shared_writes()->order;
  dual->turn.owner = turn_owner();
  if (dual->commands != route_->commands) dual->commands = route_->commands;
  return dual;
}

// COPY … DB n and MOVE write a key in another database, too; SWAPDB all keys of two.
void RedisSession::add_key_elsewhere(DualWrite& dual, const CommandSpec* spec,
                                     std::span<const std::string_view> args) const {
  if (!spec) return;
  std::string_view key;
  std::optional<std::uint32_t> db;
  if (spec->name == "move" && args.size() == 3) {
    key = args[1];
    db = number_in(args[2]);
  } else if (spec->name == "copy" && args.size() >= 5) {
    for (std::size_t i = 3; i + 1 < args.size(); ++i) {
      if (!is_word(args[i], "DB")) continue;
      key = args[2];
      db = number_in(args[i + 1]);
    }
  } else if (spec->name == "swapdb" && args.size() == 3) {
    const auto one = number_in(args[1]);
    const auto other = number_in(args[2]);
    if (one && other) dual.swaps.emplace(named_db(*one), named_db(*other));
  }
  if (!db) return;
  dual.add_key(named_db(*db), key);
  dual.spans_databases = true;
}

// False: others are before it.
bool RedisSession::await_turn(const Pending& request, const RequestCutter& cutter) {
  if (next_write_) return next_write_->granted || next_write_->gave_up;
  DualWrite* const dual = next_write_ = begin_dual_write();
  const RequestFacts& facts = request.facts;
  std::vector<std::string_view>& args = loop().args();
  args.clear();
  for (std::size_t i = 0; i < cutter.arg_count(); ++i) args.push_back(cutter.arg(i, request.bytes));
  dual->sole = !facts.spec || facts.key_count == 0 ||
               !for_each_key(*facts.spec, cutter, request.bytes,
                             [&](std::string_view key) { dual->add_key(selected_db(), key); });
  add_key_elsewhere(*dual, facts.spec, args);
  dual->order->fetch(dual->turn);
  dual->spreads =
      (dual->sole || facts.key_count > 1 || dual->spans_databases) && !keeps_keys_apart(facts.spec);
  dual->partial =
      facts.spec && (facts.spec->repeat == Repeat::Script || facts.spec->repeat == Repeat::Hidden);
  dual->how = replay_of(facts.spec, args, request.whole);
  if (dual->sole && dual->how == Replay::Expiry) dual->how = Replay::Suspect;
  if (dual->sole && dual->how == Replay::Copy) dual->how = Replay::Suspect;
  if (facts.blocks && request.whole) dual->way = DualWrite::Way::Attempt;
  return take_turn(*dual);
}

bool RedisSession::take_turn(DualWrite& dual) {
  dual.turn.sole = dual.sole;
  dual.wanted_at_ns = now_ns_;
  // While no expiry is known none can be met, and the clock need not be asked.
  if (dual.wanted_at_ms == 0 && interlay_.shared_writes()->expiries.any()) {
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
  if (!session) {
    if (!dual.waits_for_disk) dual.loop->dual_writes().put(&dual);
    return;
  }
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

// It goes ahead, and its keys are suspected.
void RedisSession::give_up_turn(DualWrite& dual) {
  counters().hit(Limit::OrderWait);
  dual.order->leave(dual.turn);
  dual.gave_up = true;
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
  if (!dual->news && !dual->waits_for_disk) loop().dual_writes().put(dual);
}

// --- a side that is down

// Whether the ledger is known to have all its keys while the other side is down, and repair rests:
// then there is nothing to put in order and nothing to note. It counts as in flight from here on.
bool RedisSession::relies_on_ledger(const Pending& request, const RequestCutter& cutter) {
  const RequestFacts& facts = request.facts;
  const Plan& plan = request.plan;
  KnownSuspects& known = interlay_.known_suspects();
  if (!known.any(plan.answer) || route_ != interlay_.route() || plan.either ||
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

// --- reads

// Whether one of these keys is known to be behind on a side that is not the authority.
bool RedisSession::is_suspect(const RequestFacts& facts, const RequestCutter& cutter,
                              std::string_view bytes) {
  const LedgerDoor& ledger = loop().shared_writes().ledger;
  if (!ledger.any || !route_->strategy || !dual_write_authority(*route_->strategy)) return false;
  if (facts.key_count == 0 || !ledger.any()) return false;
  bool found = false;
  for_each_key(*facts.spec, cutter, bytes, [&](std::string_view key) {
    found = found || ledger.suspects(*route_, selected_db(), key);
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
  if (writes) add_key_elsewhere(dual, facts.spec, args);
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
  counters()
      .requests[static_cast<std::size_t>(plan.answer)][static_cast<std::size_t>(request.facts.kind)]
      .add();
  bring_up_to_date(up);
  if (!dual.sole && !dual.spans_databases && dual.way != DualWrite::Way::Attempt &&
      (dual.turn.met_blocked() || meets_expiry(dual) ||
       (!plan.either && dual.spreads && has_suspects(dual)))) {
    dual.how = Replay::Copy;
  }
  Exchange* const exchange = new_exchange(request);
  exchange->special = true;
  exchange->dual = &dual;
  dual.exchange = exchange;
  if (!dual.starts_at_once() && dual.way != DualWrite::Way::Attempt) exchange->compare = false;
  if (exchange->change) ++state_pending_;
  if (exchange->blocks) {
    ++blocking_;
    ++attempts_;
    blocking_side_ = plan.answer;
    blocking_buckets_ = {request.facts.bucket_low, request.facts.bucket_high};
  }
  queue_.push(exchange);
  up.owe(exchange);
  if (dual.way == DualWrite::Way::Attempt) {
    dual.request.assign(request.bytes);
    dual.queued.push_back({0, request.bytes.size(), request.facts.spec, dual.how});
    exchange->count = 3;
    up.send_copy(std::string(kMulti).append(request.bytes).append(kExec));
  } else {
    if (dual.way == DualWrite::Way::Command && request.whole &&
        (dual.how != Replay::Same || exchange->either)) {
      dual.request.assign(request.bytes);
      dual.queued.push_back({0, request.bytes.size(), request.facts.spec, dual.how});
    }
    up.send(request.bytes);
  }
  counters().server_out.add(request.bytes.size());
  if (dual.second == DualWrite::Leg::UnderWay && dual.way != DualWrite::Way::Attempt) {
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

// Nobody will hear how it ends: its keys are suspected from the start, and copied. The other side
// gets no leg of its own: it could run that behind the copy, which nobody waits to see either.
void RedisSession::dual_silently(Pending& request) {
  DualWrite* const dual = std::exchange(next_write_, nullptr);
  if (!dual->sole || dual->way == DualWrite::Way::Transaction) {
    request.plan.second = Second::Nothing;
  }
  send_silently(request);
  Exchange unheard;
  unheard.answer = request.plan.answer;
  unheard.dual = dual;
  dual->session = nullptr;  // nobody waits for the disk
  note(unheard, Doubt::Unanswered);
  if (!silent_) silent_ = begin_dual_write();
  silent_->sole = silent_->sole || dual->sole || silent_->keys.size() > settings().copy_max;
  dual->for_each_key([&](std::int32_t db, std::string_view key) {
    if (!silent_->sole) silent_->add_key(db, key);
  });
  silent_side_ = request.plan.answer;
  silent_behind_ = upstream(silent_side_).owed().back();
  give_back(dual);
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
  Exchange unheard;
  unheard.answer = silent_side_;
  unheard.dual = dual;
  dual->session = nullptr;
  note(unheard, Doubt::Unanswered);
  give_back(dual);
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
  if (up.state() != Upstream::State::Ready || !interlay_.shared_writes()) return;
  bool writing = false;
  for (const Exchange* one = up.owed().front(); one && !writing; one = up.owed().after(one)) {
    if (one->identity) return;  // the writes behind it were never sent
    writing = one->dual != nullptr || one->relies;
  }
  if (!writing) return;
  const auto side = static_cast<std::size_t>(up.side());
  if (up.client.id > 0) {
    interlay_.shared_writes()->ghosts[side].add(up.client);
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
  const auto side = static_cast<std::size_t>(up.side());
  if (dual.step < 2) {
    dual.reply.append(bytes);
    if (!complete) return;
    --exchange.count;
    if (dual.step++ == 1 && (error || dual.refused)) {
      dual.refused = true;
      exchange.failed[side] = error;
      hold(exchange, dual.reply);
    } else if (error) {
      dual.refused = true;
    }
    dual.reply.clear();
    return;
  }
  if (exchange.compare) note_reply(exchange, up.side(), bytes, complete);
  bool null = false;
  if (!dual.refused) {
    if (dual.reply.size() < kTellsNull) {
      dual.reply.append(bytes);
      if (dual.reply.size() < kTellsNull && !complete) return;
      const std::string_view inner =
          error ? std::string_view(dual.reply) : std::string_view(dual.reply).substr(kAroundOne);
      null = complete && !error && is_null(inner);
      if (!null) hold(exchange, inner);
    } else {
      hold(exchange, bytes);
    }
  }
  if (!complete) return;
  up.owed().pop();
  exchange.count = 0;
  if (null) return block(up, exchange);
  ++answered_in_event_;
  if (dual.refused) {
    // What was refused was not run; what ran without MULTI, because that was refused, may have
    // blocked.
    dual.first_null = exchange.failed[side];
    dual.cannot = !exchange.failed[side];
    error = exchange.failed[side];
    exchange.compare = false;
  }
  answer_complete(up, exchange, error);
}

// Nothing to be had: it blocks, as the client wants it to. The turn is given back; others may give
// it what it waits for.
void RedisSession::block(Upstream& up, Exchange& exchange) {
  DualWrite& dual = *exchange.dual;
  dual.order->leave(dual.turn);
  dual.granted = false;
  dual.wanted_at_ns = 0;
  dual.way = DualWrite::Way::Blocked;
  dual.reply.clear();
  exchange.compare = is_stream_read(dual.queued.front().spec);
  exchange.hash[static_cast<std::size_t>(up.side())].reset();
  if (!exchange.compare) {
    dual.how = Replay::Copy;
    dual.blocked = true;
    dual.order->block(dual.turn);
  }
  exchange.count = 1;
  exchange.sent_at_ns = now_ns_;
  up.owe(&exchange);
  up.send_copy(dual.request);
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
  const bool late = dual.way == DualWrite::Way::Attempt || dual.way == DualWrite::Way::Blocked;
  if (late && !nothing && dual.second == DualWrite::Leg::UnderWay && !dual.second_begun) {
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
  } else if (const auto leg = dual.append_second_leg(out)) {
    count = leg->count;
    dual.behind = leg->behind;
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

// A key's expiry is known: writes that meet it will be repeated by copying.
void RedisSession::learn_expiry(const DualWrite& dual) {
  if (dual.questions == 0 || !interlay_.shared_writes()) return;
  const std::uint64_t now_ms = unix_ms();
  for (const DualWrite::KeyExpiry& one : dual.expiries()) {
    interlay_.shared_writes()->expiries.set(one.key_hash, one.at_ms, now_ms);
  }
}

bool RedisSession::meets_expiry(const DualWrite& dual) const {
  if (!interlay_.shared_writes() || !interlay_.shared_writes()->expiries.any()) return false;
  const std::uint64_t now_ms = unix_ms();
  bool found = false;
  dual.for_each_key([&](std::int32_t db, std::string_view key) {
    found = found || interlay_.shared_writes()->expiries.meets(WriteOrder::Turn::hash_of(db, key),
                                                               dual.wanted_at_ms, now_ms);
  });
  return found;
}

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
  if (is_made_from_suspects(dual)) return Doubt::Spread;
  return std::nullopt;
}

// Whether one of its keys is in the ledger.
bool RedisSession::has_suspects(const DualWrite& dual) const {
  const LedgerDoor& ledger = interlay_.loop().shared_writes().ledger;
  if (!ledger.any || !ledger.any()) return false;
  bool found = false;
  dual.for_each_key([&](std::int32_t db, std::string_view key) {
    found = found || ledger.right_of(*route_, db, key).has_value();
  });
  return found;
}

// Whether both sides made it from what may differ: then so may what they made.
bool RedisSession::is_made_from_suspects(const DualWrite& dual) const {
  const LedgerDoor& ledger = interlay_.loop().shared_writes().ledger;
  if (!dual.spreads || !ledger.any || !ledger.any()) return false;
  const Suspected suspected = ledger.suspected(*route_);
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

// best_effort: the side that had to be right so far, where both took the write; else `otherwise`.
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
  const LedgerDoor& ledger = loop().shared_writes().ledger;
  if (!ledger.any || !ledger.any()) return true;
  return ledger.swap(*route_, dual.swaps->first, dual.swaps->second, when_on_disk(dual));
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
  const bool other_is_right = exchange.either && exchange.failed[answer] &&
                              exchange.replied[beside] && !exchange.failed[beside];
  const bool both_took_it =
      !exchange.failed[answer] && exchange.replied[beside] && !exchange.failed[beside];
  const Side right = other_is_right                    ? other(exchange.answer)
                     : exchange.either && both_took_it ? right_before(*dual, exchange.answer)
                                                       : exchange.answer;
  std::vector<Suspect> suspects;
  bool known = false;  // some keys are in the ledger as they should be, and may be all of them
  KnownSuspects& to_rely_on = interlay_.known_suspects();
  const bool teaches = route_ == interlay_.route() && !exchange.either && right == exchange.answer;
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
  const InterlayRoute& newest = *interlay_.route();
  if (ledger.note_all && doubles_writes(newest)) ledger.note_all(newest, why, nullptr);
}

void RedisSession::noted(DualWrite& dual) {
  dual.waits_for_disk = false;
  RedisSession* const session = dual.session;
  if (!session) {
    if (!dual.news) dual.loop->dual_writes().put(&dual);
    return;
  }
  session->begin_event();
  session->finish(*dual.exchange);
  session->flush();
  session->end_event();
}

// Everything is known and written down: the answer may go.
void RedisSession::finish(Exchange& exchange) {
  retire(std::exchange(exchange.dual, nullptr));
  settle(exchange);
}

}  // namespace crossfade::redis
