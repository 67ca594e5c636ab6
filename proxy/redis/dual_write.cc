// Making second legs.
#include "proxy/redis/dual_write.h"

#include <algorithm>
#include <utility>

#include "protocols/redis/command_bytes.h"
#include "protocols/redis/reply.h"
#include "protocols/redis/reply_view.h"
#include "protocols/redis/word.h"
#include "proxy/kept_bytes.h"
#include "proxy/redis/session.h"

namespace crossfade::redis {

namespace {

constexpr std::string_view kMove = "move";
constexpr std::string_view kCopy = "copy";

// A request cut again: its arguments and its keys, each once.
struct Again {
  RequestCutter cutter;
  std::vector<std::string_view> args;
  std::vector<std::string_view> keys;

  Again(const CommandSpec* spec, std::string_view bytes) {
    cutter.advance(bytes);
    for (std::size_t i = 0; i < cutter.arg_count(); ++i) args.push_back(cutter.arg(i, bytes));
    if (!spec) return;
    redis::for_each_key(*spec, cutter, bytes, [this](std::string_view key) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    });
  }
};

// When it fails, it may have written all the same.
bool is_script(const CommandSpec* spec) {
  return spec && (spec->repeat == Repeat::Script || spec->repeat == Repeat::Hidden);
}

// The replies in `bytes`, one after the other.
std::vector<std::string_view> split_replies(std::string_view bytes) {
  std::vector<std::string_view> out;
  while (!bytes.empty()) {
    ReplyScanner scanner;
    const ReplyScanner::Step step = scanner.advance(bytes);
    if (step.state != ReplyScanner::State::Complete) break;
    out.push_back(bytes.substr(0, step.consumed));
    bytes.remove_prefix(step.consumed);
  }
  return out;
}

// Blocks no more, and nobody who reads on: the same command without BLOCK and its time.
void append_without_block(std::string& out, std::vector<std::string_view> args) {
  for (std::size_t i = 1; i + 1 < args.size() && !is_word(args[i], "STREAMS"); ++i) {
    if (!is_word(args[i], "BLOCK")) continue;
    args.erase(args.begin() + static_cast<std::ptrdiff_t>(i),
               args.begin() + static_cast<std::ptrdiff_t>(i) + 2);
    break;
  }
  append_command(out, args);
}

}  // namespace

bool writes_elsewhere(const CommandSpec& spec) { return spec.name == kMove || spec.name == kCopy; }

std::optional<KeyElsewhere> key_elsewhere(const CommandSpec& spec,
                                          std::span<const std::string_view> args) {
  if (spec.name == kMove && args.size() == 3) return KeyElsewhere{args[1], args[2]};
  std::optional<KeyElsewhere> last;
  if (spec.name != kCopy) return last;
  for (std::size_t i = 3; i + 1 < args.size(); ++i) {
    if (is_word(args[i], "DB")) last = {args[2], args[i + 1]};
  }
  return last;
}

DualWrite::DualWrite() : turn(&RedisSession::on_turn) { turn.context = this; }

void DualWrite::add_key(std::int32_t db, std::string_view key) {
  const KeyHead head{db, static_cast<std::uint32_t>(key.size())};
  keys.append(reinterpret_cast<const char*>(&head), sizeof head);
  keys.append(key);
  turn.want(db, key);
}

std::vector<std::string_view> DualWrite::each_key() const {
  std::vector<std::string_view> out;
  for_each_key([&out](std::int32_t, std::string_view key) {
    if (std::find(out.begin(), out.end(), key) == out.end()) out.push_back(key);
  });
  return out;
}

std::uint32_t DualWrite::append_questions(std::string& out) {
  if (how == Replay::Copy || copies_behind()) {
    return redis::append_questions(Replay::Copy, nullptr, {}, each_key(), *commands, out);
  }
  std::uint32_t count = 0;
  for (QueuedWrite& one : queued) {
    if (one.how == Replay::Same || one.how == Replay::Suspect) continue;
    const Again again(one.spec, std::string_view(request).substr(one.at, one.size));
    one.questions =
        redis::append_questions(one.how, one.spec, again.args, again.keys, *commands, out);
    count += one.questions;
  }
  return count;
}

std::optional<DualWrite::SecondLeg> DualWrite::append_second_leg(std::string& out) const {
  const std::vector<std::string_view> told = split_replies(answers);
  if (told.size() != questions || too_big) return std::nullopt;
  if (way == Way::Attempt) {
    out.append(kMulti).append(request).append(kExec);
    return SecondLeg{.count = 3};
  }
  if (way == Way::Blocked && how != Replay::Copy) {
    append_without_block(out, Again(nullptr, request).args);
    return SecondLeg{.count = 1};
  }
  const std::size_t before = out.size();
  const bool transaction = way == Way::Transaction;
  if (transaction) out += kMulti;
  std::string behind_it;
  std::optional<SecondLeg> leg =
      how == Replay::Copy ? SecondLeg{} : append_commands(told, out, behind_it);
  if (leg && (how == Replay::Copy || copies_behind())) {
    const auto keys_copied = each_key();
    const auto copied = append_repeat(
        Replay::Copy,
        {.spec = nullptr, .args = {}, .keys = keys_copied, .reply = reply, .answers = told}, out);
    leg->is_same = leg->leaves_out = false;
    if (copied) leg->count += *copied;
    if (!copied) leg.reset();
  }
  if (!leg) {
    out.resize(before);
    return std::nullopt;
  }
  if (transaction) {
    out += kExec;
    leg->count += 2;
  }
  out += behind_it;
  return leg;
}

// The commands one by one, and apart from them what belongs behind: the expiries.
std::optional<DualWrite::SecondLeg> DualWrite::append_commands(
    std::span<const std::string_view> told, std::string& out, std::string& behind_it) const {
  const bool transaction = way == Way::Transaction;
  std::vector<std::string_view> replies;
  if (!transaction) {
    replies.push_back(reply);
  } else if (!split_elements(reply, replies) || replies.size() != queued.size()) {
    return std::nullopt;
  }
  SecondLeg leg;
  bool any_out = false;
  bool all_same = true;
  for (std::size_t i = 0; i < queued.size(); ++i) {
    const QueuedWrite& one = queued[i];
    const std::string_view bytes = std::string_view(request).substr(one.at, one.size);
    const bool same = one.how != Replay::Made;
    const bool ran = !is_error(replies[i]) || is_script(one.spec);
    leg.is_same = leg.is_same && same && ran;
    any_out = any_out || !ran;
    all_same = all_same && same;
    if (transaction && same && ran) {
      out += bytes;
      ++leg.count;
    }
    if (one.how == Replay::Same || one.how == Replay::Suspect) continue;
    if (same && copies_behind()) continue;  // the copy has its expiry, too
    const std::span<const std::string_view> mine =
        copies_behind() ? std::span<const std::string_view>() : told.first(one.questions);
    told = told.subspan(mine.size());
    if (!same && is_error(replies[i])) continue;
    const Again again(one.spec, bytes);
    const auto made = append_repeat(one.how,
                                    {.spec = one.spec,
                                     .args = again.args,
                                     .keys = again.keys,
                                     .reply = replies[i],
                                     .answers = mine},
                                    same ? behind_it : out);
    if (!made) return std::nullopt;
    leg.count += *made;
    if (same) leg.behind += *made;
  }
  leg.leaves_out = transaction && any_out && all_same;
  return leg;
}

std::vector<DualWrite::KeyExpiry> DualWrite::expiries() const {
  std::vector<KeyExpiry> out;
  std::vector<std::string_view> told = split_replies(answers);
  if (told.size() != questions) return out;
  const auto add = [&](std::string_view key, std::string_view answer) {
    const auto at_ms = integer_in(answer);
    if (at_ms && *at_ms > 0) out.push_back({asked_db, key, static_cast<std::uint64_t>(*at_ms)});
  };
  std::span<const std::string_view> rest = told;
  if (how == Replay::Copy || copies_behind()) {
    const auto all = each_key();
    if (told.size() != all.size() * 2) return out;
    for (std::size_t i = 0; i < all.size(); ++i) add(all[i], told[i * 2 + 1]);
    return out;
  }
  for (const QueuedWrite& one : queued) {
    const auto mine = rest.first(one.questions);
    rest = rest.subspan(one.questions);
    if (one.how != Replay::Expiry) continue;
    const Again again(one.spec, std::string_view(request).substr(one.at, one.size));
    if (mine.size() != again.keys.size()) continue;
    for (std::size_t i = 0; i < mine.size(); ++i) add(again.keys[i], mine[i]);
  }
  return out;
}

// Of a transaction, within EXEC's reply. Empty: it is not known.
std::string_view DualWrite::reply_to(std::size_t queued_at) const {
  if (way != Way::Transaction) return reply;
  std::vector<std::string_view> replies;
  if (too_big || !split_elements(reply, replies) || replies.size() <= queued_at) return {};
  return replies[queued_at];
}

std::vector<DualWrite::Carried> DualWrite::carried() const {
  std::vector<Carried> out;
  for (const Elsewhere& one : elsewhere) {
    if (one.at >= queued.size() || integer_in(reply_to(one.at)) != 1) continue;
    const QueuedWrite& write = queued[one.at];
    const Again again(write.spec, std::string_view(request).substr(write.at, write.size));
    const bool renames = again.keys.size() > 1;  // COPY
    out.push_back({one.from_db, std::string(again.keys[0]), one.to_db,
                   std::string(again.keys[renames ? 1 : 0])});
  }
  return out;
}

bool DualWrite::has_swapped() const {
  if (!swaps) return false;
  const std::string_view told = reply_to(swaps_at);
  return way != Way::Transaction || (!told.empty() && !is_error(told));
}

bool DualWrite::failed_within() const {
  if (way != Way::Transaction || !outcome.starts_with('*')) return false;
  std::vector<std::string_view> replies;
  return too_big || !split_elements(outcome, replies) ||
         std::any_of(replies.begin(), replies.end(), is_error);
}

bool DualWrite::told_otherwise() const {
  std::vector<std::string_view> ours;
  std::vector<std::string_view> theirs;
  if (too_big || !split_elements(reply, ours) || !split_elements(outcome, theirs) ||
      ours.size() != queued.size()) {
    return true;
  }
  std::size_t at = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (is_error(ours[i]) && !is_script(queued[i].spec)) continue;
    if (at == theirs.size() || ours[i] != theirs[at]) return true;
    ++at;
  }
  return at != theirs.size();
}

void DualWrite::stand_in() {
  append_command(request, {"PERSIST", each_key().front()});
  queued.push_back({0, request.size(), commands->find("persist"), Replay::Expiry});
}

void DualWrite::clear() {
  turn.clear();
  loop = nullptr;
  session = nullptr;
  exchange = nullptr;
  order = nullptr;
  wanted_at_ns = wanted_at_ms = 0;
  granted = news = gave_up = sole = spans_databases = after_first = selects = spreads = partial =
      blocked = false;
  way = Way::Command;
  how = Replay::Same;
  swaps.reset();
  swaps_at = 0;
  elsewhere.clear();
  asked_db = kDefaultDb;
  empty(request);
  queued.clear();
  empty(keys);
  empty(reply);
  empty(answers);
  empty(outcome);
  questions = 0;
  asking = too_big = resolved = skipped = false;
  gate = step = 0;
  refused = false;
  second = Leg::UnderWay;
  own_seen = first_unknown = first_null = cannot = second_begun = waits_for_disk = false;
  comparable = true;
  leaves_out = false;
  behind = 0;
  resolved_at_ns = 0;
}

DualWrite* DualWritePool::get() {
  if (free_.empty()) {
    all_.push_back(std::make_unique<DualWrite>());
    free_.push_back(all_.back().get());
  }
  DualWrite* const dual = free_.back();
  free_.pop_back();
  return dual;
}

void DualWritePool::put(DualWrite* dual) {
  dual->clear();
  free_.push_back(dual);
}

}  // namespace crossfade::redis
