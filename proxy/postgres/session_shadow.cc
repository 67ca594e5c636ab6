// Shadow traffic: old answers, and new gets a copy of each transaction. Nobody waits for new.
//
//   Apart    new is entered, or what the session holds is not known to be there: transactions that
//            begin are dropped. The session's inventory is asked and given in a quiet moment.
//   InStep   whatever the session is, new is, too: every transaction is copied, and with it what it
//            does to the session
//
// A transaction is copied whole or not at all. One that cannot be copied to its end takes the
// connection to new away, which rolls it back there; so does a server that is late, or garbles.
#include <utility>
#include <variant>

#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"
#include "proxy/clock.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

namespace {
// New is not entered again before, by a session that has lost it.
constexpr std::uint64_t kAgainNs = 1'000 * kNsPerMs;
// A client that has asked nothing for so long does not feel that its server is asked by us ...
constexpr std::uint64_t kQuietNs = 20 * kNsPerMs;
// ... and one that never is quiet feels it once in a while.
constexpr std::uint64_t kApartMostNs = 1'000 * kNsPerMs;
// What new runs for nobody is told to end; a connection for that has so long.
constexpr std::uint64_t kCancelMostNs = 3'000 * kNsPerMs;

// Reads of what belongs to one server are copied, too, and compared by their shape: a session is
// copied whole.
Facts facts_for_copy(const UnitFacts& unit, std::uint32_t bucket) {
  Facts facts;
  facts.keyed = true;
  facts.bucket_low = facts.bucket_high = bucket;
  const bool tame = !unit.writes && unit.strongest <= SqlClass::SessionState;
  facts.kind = tame || unit.opens_read_only ? Kind::Read : Kind::Write;
  return facts;
}

bool is_copy_data(char type) {
  return type == from_client::kCopyData || type == from_client::kCopyDone ||
         type == from_client::kCopyFail;
}

}  // namespace

// --- its life

bool PostgresSession::copies_wanted() const {
  const InterlayRoute& route = *newest_route();
  if (!route.strategy || current_ != Side::Old || on_trial_) return false;
  const Facts read = facts_for_copy(UnitFacts(), bucket_);
  return plan(*route.strategy, read).second == Second::Copy && !wants_replication(start_up_);
}

// At the end of every event.
void PostgresSession::update_shadow() {
  if (phase_ == Phase::Ready) {
    const bool wanted = copies_wanted();
    if (!shadow_ && wanted) begin_shadow();
    if (shadow_ && !wanted) end_shadow();
  }
  if (!shadow_) return;
  if (shadow_->current() && safe_point()) shadow_->end();
  settle_copies();
  if (phase_ == Phase::Ready) get_in_step();
  if (shadow_ && copies_wait()) loop().mark_busy(*this);
}

// What is open by now is not copied.
void PostgresSession::begin_shadow() {
  const bool between = cutter_.at_boundary() && !mid_unit_ && cutter_.stream() == Stream::Client;
  if (!watched_) {
    if (!between) return;
    watch();
  }
  at(Side::New).close();
  alone_until_ns_ = 0;
  shadow_ = std::make_unique<ShadowLeg>();
  shadow_->apart_since_ns = now_ns_;
  if (version_ != 0) shadow_->version = 1;
  if (!between || !safe_point()) shadow_->now = ShadowLeg::Now::Left;
}

void PostgresSession::end_shadow() {
  drop_copies(Drop::Closed, Drop::Closed);
  at(Side::New).close();
  shadow_.reset();
}

// Whatever can be done for it without being felt.
void PostgresSession::get_in_step() {
  ShadowLeg& leg = *shadow_;
  Upstream& to = at(Side::New);
  const EndpointAddress& newest = *newest_route()->at(Side::New);
  if (to.state() != Upstream::State::Idle && !(newest == to.address())) {
    drop_copies(Drop::Closed, Drop::Closed);
  }
  if (to.state() == Upstream::State::Idle && now_ns_ >= alone_until_ns_ && !draining_ &&
      !client_ended_ && !enter(Side::New)) {
    to.close();
    leg.refused = false;
    alone_until_ns_ = now_ns_ + kAgainNs;
  }
  if (to.state() != Upstream::State::Open) return;
  if (leg.state == ShadowLeg::State::InStep && leg.there != leg.version) fall_apart();
  // Behind its end old hears no more; a cancel that is on its way would hit us.
  const bool idle = safe_point() && !asking_ && !client_ended_ && !canceller_;
  const bool unheard = now_ns_ >= leg.asked_at_ns + kQuietNs;
  if (leg.state == ShadowLeg::State::InStep) {
    if (leg.settings_wanted && idle && unheard && !inventory_known()) ask_for_copies();
    return;
  }
  if (to.owed().owes()) return;
  if (to.owed().transaction() != Transaction::Idle) {  // what old has ended was dropped
    return drop_copies(Drop::ConnectionLost, Drop::ConnectionLost);
  }
  if (leg.there == leg.version || !idle) return;
  if (!inventory_known()) {
    if (unheard || now_ns_ >= leg.apart_since_ns + kApartMostNs) ask_for_copies();
    return;
  }
  if (inventory_.ties.empty() && leg.given != leg.version) give_copies(to);
}

void PostgresSession::ask_for_copies() {
  shadow_->asked = shadow_->version;
  shadow_->apart_since_ns = now_ns_;
  ask_inventory();
}

// A connection that has had copies is made as a new one first.
void PostgresSession::give_copies(Upstream& to) {
  shadow_->given = shadow_->version;
  if (std::exchange(shadow_->used, false)) {
    std::string query;
    append_query(query, "DISCARD ALL");
    inject(to, query, from_client::kQuery);
  }
  to.holds = Holdings();
  if (!begin_giving(to)) shadow_->there = shadow_->given;
}

void PostgresSession::fall_apart() {
  if (shadow_->state == ShadowLeg::State::Apart) return;
  shadow_->state = ShadowLeg::State::Apart;
  shadow_->apart_since_ns = now_ns_;
}

// --- what the client sends

// The unit is read, and going to be sent to old.
void PostgresSession::plan_copy(const Unit& unit, std::string_view bytes) {
  ShadowLeg& leg = *shadow_;
  leg.asked_at_ns = now_ns_;
  if (unit.what == Unit::What::Data) return;  // it goes with what has begun the COPY
  const bool begun = leg.now != ShadowLeg::Now::Nothing;
  const bool goes_on =
      begun && (server().owed().copying() != CopyMode::None || block() != Block::None);
  if (!goes_on || unit.what == Unit::What::Farewell) {
    leg.end();
    leg.now = ShadowLeg::Now::Left;
    if (unit.what != Unit::What::Farewell) begin_copy(unit, bytes);
  }
  if (leg.copying() && leaves_reading()) fail_copies(Drop::StateRefused);
  if (!leg.copying()) {
    leg.gap = leg.gap || reader_.facts_of_parse(0) != nullptr;
    return;
  }
  if (!leg.current()) {  // its end was not where it was taken for
    leg.now = ShadowLeg::Now::Left;
    return fall_apart();
  }
  leg.begin_unit(reader_.facts().how, now_ns_);
}

void PostgresSession::begin_copy(const Unit& unit, std::string_view bytes) {
  const InterlayRoute& route = *newest_route();
  if (!route.strategy) return;
  Facts facts = facts_for_copy(reader_.facts(), bucket_);
  facts.stays = route.sql_apis && (!is_whole(unit, bytes) || is_of_no_api(route));
  if (plan(*route.strategy, facts).second != Second::Copy) return;
  SecondCounters& counts = counters().second[0];
  counts.eligible.add();
  if (const auto why = copy_refusal(bytes.size())) {
    counts.drop(*why);
    return fall_apart();
  }
  Facts write = facts;
  write.kind = Kind::Write;
  shadow_->reads_only = plan(*route.strategy, write).second != Second::Copy;
  shadow_->now = ShadowLeg::Now::Copied;
  shadow_->used = true;
  shadow_->begin();
  ++interlay_.second_inflight;
  loop().mark_busy(*this);
}

// What is going to be sent may write, and the transaction is copied because it would not. Whether
// it is in the READ ONLY block that it began with is not known while old owes what was said before.
bool PostgresSession::leaves_reading() const {
  const UnitFacts& facts = reader_.facts();
  if (!shadow_->reads_only || facts_for_copy(facts, bucket_).kind == Kind::Read) return false;
  return leads_out(facts, server().owed().owes() ? Block::Unsure : block());
}

// Why a transaction that begins now cannot be copied.
std::optional<Drop> PostgresSession::copy_refusal(std::size_t size) {
  ShadowLeg& leg = *shadow_;
  Upstream& to = at(Side::New);
  if (to.state() != Upstream::State::Open) {
    return leg.refused ? Drop::StateRefused : Drop::SideDown;
  }
  const std::uint64_t unsent = interlay_.unsent[index(Side::New)];
  const bool full = !to.owed().room() || unsent + size > settings().second_bytes_max ||
                    interlay_.second_inflight >= settings().second_inflight_max;
  if (full) return Drop::Overflow;
  if (leg.there != leg.version) return Drop::StateRefused;
  if (leg.gap && server().owed().owes()) return Drop::StateRefused;
  leg.gap = false;
  if (leg.state == ShadowLeg::State::InStep) return std::nullopt;
  // What was dropped lies between: nothing of the session may be under way.
  if (to.owed().owes() || server().owed().owes()) return Drop::Overflow;
  if (to.owed().transaction() != Transaction::Idle) return Drop::StateRefused;
  leg.state = ShadowLeg::State::InStep;
  return std::nullopt;
}

// The first piece of a message that old has got as `id`; returns its id on new, 0 when it is not
// sent there.
std::uint64_t PostgresSession::copy_request(std::uint64_t id, const Piece& piece) {
  OwedReplies& owed = at(Side::New).owed();
  if (!owed.room()) {
    fail_copies(Drop::Overflow);
    return 0;
  }
  const std::uint64_t copy_id = owed.sent(client_message_of(piece), Mark::Compare);
  if (is_copy_data(piece.type) || !shadow_->current()) return copy_id;
  shadow_->weaken(reader_.facts().how);
  shadow_->sent(id, copy_id);
  note_compared(piece);
  return copy_id;
}

void PostgresSession::copy_piece(const Piece& piece) {
  const std::uint64_t unsent = interlay_.unsent[index(Side::New)];
  if (unsent + piece.bytes.size() > settings().second_bytes_max) return fail_copies(Drop::Overflow);
  write_to(at(Side::New), piece);
}

// --- what new answers

void PostgresSession::on_copy_rows(Upstream& up, char type, std::string_view rows) {
  up.passing_id = note_copy_reply(up, {.type = type}, {});
  if (up.passing_id != 0) shadow_->on_rows(Side::New, up.passing_id, type, rows);
}

void PostgresSession::on_copy_reply(Upstream& up, const Piece& piece) {
  if (piece.first()) {
    up.passing_id = 0;
    const auto message = server_message_of(piece);
    if (!message) return on_garbled(up, "no server sends this");
    up.passing_id = note_copy_reply(up, *message, piece.body());
  }
  if (up.passing_id == 0) return;
  const std::uint64_t sent_ns = shadow_->on_piece(Side::New, up.passing_id, piece, now_ns_);
  if (sent_ns != 0) counters().leg[index(Side::New)].record(now_ns_ - sent_ns);
}

// Returns the message of the client's that this answers; 0: none.
std::uint64_t PostgresSession::note_copy_reply(Upstream& up, const ServerMessage& message,
                                               std::string_view body) {
  const Arrival arrival = up.owed().arrived(message);
  const auto* const answer = std::get_if<Answer>(&arrival);
  if (!answer) {
    on_garbled(up, std::get<Broken>(arrival).reason);
    return 0;
  }
  if (answer->belongs != Belongs::Reply) return 0;
  if (answer->id != 0) note_asked(up, answer->id, message.type, body);
  if (message.type == from_server::kReadyForQuery) interlay_.answer_succeeded(up.side(), now_ns_);
  if (answer->mark != Mark::Skip) return answer->id;
  const bool given = up.holds.giving_id != 0;
  note_injected(up, *answer, message.type, body);
  const bool taken = given && up.holds.giving_id == 0 && !up.holds.refused;
  if (taken) shadow_->there = shadow_->given;
  // What we have put among the client's messages fails these.
  return !given && message.type == from_server::kErrorResponse ? answer->id : 0;
}

// --- what does not come to its end

void PostgresSession::fail_copies(Drop why) { drop_copies(why, Drop::ConnectionLost); }

void PostgresSession::drop_copies(Drop why, Drop others) {
  if (!shadow_) return;
  Upstream& up = at(Side::New);
  SecondCounters& counts = counters().second[0];
  const auto lost = static_cast<std::uint32_t>(shadow_->drop_all());
  interlay_.second_inflight -= lost;
  if (lost > 0) {
    counts.drop(why);
    counts.drop(others, lost - 1);
  }
  const bool runs = up.state() == Upstream::State::Open && up.owed().owes() && up.pid != 0;
  if (runs && !ending_ && !nobodys_canceller_) {
    cancel_for_nobody(up);
  }
  up.close();
  if (shadow_->now != ShadowLeg::Now::Nothing) shadow_->now = ShadowLeg::Now::Left;
  fall_apart();
  shadow_->used = false;
  shadow_->refused = false;
  shadow_->given = ShadowLeg::kNoVersion;
  shadow_->there = 0;
  alone_until_ns_ = now_ns_ + kAgainNs;
}

// At every tick.
void PostgresSession::check_copies() {
  if (nobodys_canceller_ && now_ns_ > nobodys_canceller_->began_at_ns() + kCancelMostNs) {
    nobodys_canceller_.reset();
  }
  if (!shadow_ || !copies_late()) return;
  const bool silent =
      shadow_->empty() || interlay_.answered_at_ns(Side::New) < shadow_->front().old_at_ns;
  if (silent) interlay_.failed(Side::New, Interlay::Failure::Answer, now_ns_);
  fail_copies(Drop::Timeout);
}

// Old has answered long ago, or nothing was asked of it.
bool PostgresSession::copies_late() const {
  const Upstream& to = at(Side::New);
  if (to.state() != Upstream::State::Open) return false;
  if (to.holds.giving_id != 0) return late_to_answer(to.holds.giving_since_ns);
  if (shadow_->empty()) return false;
  const CopiedTransaction& first = shadow_->front();
  return !first.answered_by(Side::New) && first.answered_by(Side::Old) &&
         late_to_answer(first.old_at_ns);
}

// The client has gone, and new is still at what old has answered, or is told to leave it. It gets
// as long as ever.
bool PostgresSession::copies_linger() const {
  if (phase_ != Phase::Closing) return false;
  if (nobodys_canceller_) return true;
  const std::uint64_t limit_ns = settings().second_leg_timeout_ms * kNsPerMs;
  const std::uint64_t over_ns = closing_at_ns_ + (limit_ns != 0 ? limit_ns + kQuietNs : kAgainNs);
  return now_ns_ <= over_ns && shadow_ && !shadow_->empty() &&
         shadow_->front().answered_by(Side::Old) && !shadow_->front().open;
}

// Time is what it waits for.
bool PostgresSession::copies_wait() const {
  if (nobodys_canceller_) return true;
  if (!shadow_) return false;
  const Upstream& to = at(Side::New);
  if (to.state() != Upstream::State::Open) return false;
  if (!shadow_->empty() || to.holds.giving_id != 0) return true;
  const bool known = inventory_known();
  if (shadow_->state == ShadowLeg::State::InStep) return shadow_->settings_wanted && !known;
  const bool hopeless = known && (!inventory_.ties.empty() || shadow_->given == shadow_->version);
  return shadow_->there != shadow_->version && !hopeless && safe_point();
}

}  // namespace crossfade::postgres
