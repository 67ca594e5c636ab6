// Units of a session with two sides: each is read, given a side, and sent there whole.
#include <algorithm>
#include <cassert>
#include <utility>
#include <variant>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/builder.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/sql_glance.h"
#include "protocols/postgres/types.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

namespace {
// Makes a server say, in its own transaction, that something is not done there.
constexpr std::string_view kReadOnlyRefusal =
    "DO $crossfade$BEGIN RAISE EXCEPTION USING ERRCODE = '25006', MESSAGE = 'crossfade: a "
    "read-only transaction whose reads are on the new server can do nothing but read', HINT = "
    "'Begin it "
    "without READ ONLY.'; END$crossfade$";

// What a server says of a request that it has cancelled.
constexpr std::string_view kCancelledRefusal =
    "DO $crossfade$BEGIN RAISE EXCEPTION USING ERRCODE = '57014', MESSAGE = 'canceling statement "
    "due to user request'; END$crossfade$";

// There is no such savepoint.
constexpr std::string_view kStandInText = "ROLLBACK TO SAVEPOINT \"crossfade: stands in\"";
constexpr std::uint32_t kTextOid = 25;

// As far as its text tells.
std::optional<std::size_t> parameters_of(const SessionState::Statement& statement) {
  const bool read = statement.facts && statement.facts->parameters;
  if (!read || !statement.message.starts_with(from_client::kParse)) return std::nullopt;
  const auto parse = view_parse(std::string_view(statement.message).substr(kHeaderSize));
  if (!parse) return std::nullopt;
  return std::max<std::size_t>(parse->type_count(), *statement.facts->parameters);
}

constexpr std::string_view kSync{"S\0\0\0\4", 5};

Facts at_bucket(std::uint32_t bucket) {
  Facts facts;
  facts.keyed = true;
  facts.bucket_low = facts.bucket_high = bucket;
  return facts;
}

Facts write_at(std::uint32_t bucket) {
  Facts facts = at_bucket(bucket);
  facts.kind = Kind::Write;
  return facts;
}

Facts facts_for_plan(const UnitFacts& unit, std::uint32_t bucket) {
  Facts facts = at_bucket(bucket);
  facts.sided = unit.sided;
  if (unit.only_reads || unit.opens_read_only) {
    facts.kind = Kind::Read;
  } else if (unit.writes || unit.leaves == Leaves::Open) {
    facts.kind = Kind::Write;  // what a transaction will do is not known when it begins
  }
  return facts;
}

Side answering(const InterlayRoute& route, const Facts& facts) {
  return route.strategy ? plan(*route.strategy, facts).answer : Side::Old;
}
}  // namespace

// From the next unit on its messages are read.
void PostgresSession::watch() {
  watched_ = true;
  cutter_ = MessageCutter(Stream::Client, settings().segment_max);
  state_ = SessionState(settings().statements_max);
  if (!was_used_) return;
  version_ = 1;
  statements_unseen_ = true;
  block_ = server().owed().owes()                               ? Block::Unsure
           : server().owed().transaction() == Transaction::Idle ? Block::None
                                                                : Block::Open;
}

// Returns how many bytes that was; none: it is not whole, or waits.
std::size_t PostgresSession::take_unit(std::string_view bytes) {
  held_ = held(bytes[0]);
  if (held_ != Held::No) return 0;
  const UnitCut cut = cut_unit(bytes, settings().segment_max);
  if (const auto* more = std::get_if<NeedMore>(&cut)) {
    wanted_ = bytes.size() + more->at_least;
    return 0;
  }
  if (std::holds_alternative<Broken>(cut)) {  // the server says it in its own words
    go_raw();
    return 0;
  }
  const Unit unit = std::get<Unit>(cut);
  const std::string_view whole = bytes.substr(0, unit.size);
  const Choice choice = choose(unit, whole);
  wanted_ = 0;
  switch (choice.act) {
    case Choice::Do::Go:
      send_unit(whole, unit, choice);
      return unit.size;
    case Choice::Do::Refuse:
      refuse_unit(whole, choice.refusal);
      mid_unit_ = unit.what == Unit::What::Segment && unit.end != Unit::End::Closed;
      return unit.size;
    case Choice::Do::Wait:
      held_ = Held::Side;
      loop().mark_busy(*this);
      return 0;
    case Choice::Do::Await:
      wanted_ = bytes.size() + unit.at_least;
      return 0;
    case Choice::Do::Gone:
      return 0;
  }
  return 0;
}

void PostgresSession::read_unit(std::string_view bytes) {
  reader_.begin(interlay_.classifier(database_), reading_);
  MessageCutter cutter(Stream::Client, settings().segment_max);
  for (std::size_t at = 0; at < bytes.size();) {
    const Cut cut = cutter.next(bytes.substr(at));
    const auto* const piece = std::get_if<Piece>(&cut);
    if (!piece) return;
    if (piece->first()) reader_.on_message(*piece);
    at += piece->bytes.size();
  }
}

// More of a unit whose side was chosen before all of it was there. False: it is refused.
bool PostgresSession::read_on(const Piece& piece) {
  parses_ = 0;
  reader_.begin(interlay_.classifier(database_), reading_);
  reader_.on_message(piece);
  if (reader_.facts().parts > 0 && leads_out(reader_.facts())) {
    send_refusal(piece.type, Refusal::ReadOnly);
    mid_unit_ = !ends_unit(piece.type);
    return false;
  }
  each_receiver([&](Upstream& up) { bring_for(up, piece); });
  note_sent(reader_.facts());
  return true;
}

// While there is one side nobody reads SQL, but for what no server tells later.
void PostgresSession::glance(const Piece& piece) {
  const bool sql = piece.type == from_client::kQuery || piece.type == from_client::kParse;
  if (!sql || !may_set_custom(piece.body())) return;
  reader_.begin(interlay_.classifier(database_), reading_);
  reader_.on_message(piece);
  note_custom_settings();
}

// No server lists them.
void PostgresSession::note_custom_settings() {
  for (const std::string& name : reader_.custom_settings()) {
    if (custom_lost_ || custom_.contains(name)) continue;
    custom_bytes_ += name.size() + sizeof(std::string);
    custom_lost_ = custom_bytes_ > settings().custom_settings_max;
    if (custom_lost_) {
      counters().hit(Limit::CustomSettingsMax);
    } else {
      custom_.insert(name);
    }
  }
}

void PostgresSession::note_request(std::uint64_t id, std::uint64_t copy_id, const Piece& piece) {
  const bool parses = piece.type == from_client::kParse;
  note_statement(server(), id, piece);
  if (copy_id != 0) note_statement(at(Side::New), copy_id, piece);
  state_.sent(id, piece, parses ? reader_.facts_of_parse(parses_++) : nullptr);
}

// Where the transaction stands that the next unit is run in.
PostgresSession::Block PostgresSession::block() const {
  if (server().owed().owes()) return block_;
  return server().owed().transaction() == Transaction::Idle ? Block::None : Block::Open;
}

Side PostgresSession::write_side() const {
  return answering(*interlay_.route(), write_at(bucket_));
}

PostgresSession::Choice PostgresSession::choose(const Unit& unit, std::string_view bytes) {
  if (on_trial_) {
    wait_ = Wait::Trial;
    return {Choice::Do::Wait};
  }
  read_unit(bytes);
  if (std::exchange(wait_cancelled_, false)) {
    wait_ = Wait::Nothing;
    return {.act = Choice::Do::Refuse, .refusal = Refusal::Cancelled};
  }
  // What goes on with a COPY, is skipped up to a Sync, or asks nothing, belongs to whom the last
  // one was for.
  const bool goes_on = unit.what == Unit::What::Data || unit.what == Unit::What::Farewell ||
                       server().owed().copying() != CopyMode::None || server().owed().awaits_sync();
  if (goes_on || reader_.facts().parts == 0) return {Choice::Do::Go};
  // Whether what was brought is there hangs on what was sent before it.
  if (server().owed().owes() && unit.what == Unit::What::Segment && brings_under_way()) {
    wait_ = Wait::Answers;
    return {Choice::Do::Wait};
  }
  block_ = block();
  return block_ == Block::None ? choose_free(unit, bytes) : choose_in_block(unit);
}

bool PostgresSession::brings_under_way() const {
  const Ring<Asked>& asked = server().holds.asked;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const Asked::What what = asked.at(i).what;
    if (what != Asked::What::Made && what != Asked::What::Closed) return true;
  }
  return false;
}

// A transaction is never split. While it is not known to be open, nothing is sent that would be
// wrong if it were not.
PostgresSession::Choice PostgresSession::choose_in_block(const Unit& unit) {
  const UnitFacts& facts = reader_.facts();
  const bool sure = !server().owed().owes();
  const bool right_anyway = current_ == write_side() || facts.only_reads;
  if (!sure && !right_anyway) {
    wait_ = Wait::Answers;
    return {Choice::Do::Wait};
  }
  if (!leads_out(facts)) return {Choice::Do::Go};
  return {unit.end == Unit::End::Unfinished ? Choice::Do::Await : Choice::Do::Refuse};
}

// What has an effect on new even in the read-only transaction that is open there, or behind its
// end: units are not split.
bool PostgresSession::leads_out(const UnitFacts& facts) const {
  if (!read_only_block_) return false;
  const bool ends = facts.leaves != Leaves::AsItWas || block_ != Block::Open;
  return facts.works_read_only || facts.says_begin || (ends && facts.writes);
}

PostgresSession::Choice PostgresSession::choose_free(const Unit& unit, std::string_view bytes) {
  const InterlayRoute& route = *interlay_.route();
  const UnitFacts& facts = reader_.facts();
  read_only_block_ = false;
  Facts request = facts_for_plan(facts, bucket_);
  const Side whole_side = answering(route, request);
  // What is not known to its end may yet write; what has no end of its own leaves its server in the
  // midst of it when it fails.
  const bool whole =
      unit.end == Unit::End::Closed && (unit.what != Unit::What::Segment || bytes.ends_with(kSync));
  if (!whole) request.kind = Kind::Write;
  const Side side = answering(route, request);
  if (unit.end == Unit::End::Unfinished && side != whole_side) return {Choice::Do::Await};
  const bool reads_there = side != write_side();
  const bool tried = reads_there && side == Side::New;
  const Errand errand = tried ? Errand::Trial : Errand::Unit;
  const Crossing crossing = side == current_ ? Crossing::There : go_to(side, errand);
  switch (crossing) {
    case Crossing::There:
      reads_there_ = current_ != write_side();
      return {Choice::Do::Go, reads_there_ && facts.only_reads};
    case Crossing::Waits:
      return {Choice::Do::Wait};
    case Crossing::Stays:
      return {Choice::Do::Go};
    case Crossing::Gone:
      break;
  }
  return {Choice::Do::Gone};
}

// `bytes` are read, and the server that is talked to is the one that was chosen.
void PostgresSession::send_unit(std::string_view bytes, const Unit& unit, const Choice& choice) {
  wait_ = Wait::Nothing;
  const UnitFacts& facts = reader_.facts();
  const bool trial = choice.trial && can_fall_back();
  if (trial) {
    trial_bytes_.assign(bytes);
    trial_kept_.clear();
    trial_answers_.clear();
    trial_began_ns_ = now_ns_;
    trial_cancelled_ = false;
    loop().mark_busy(*this);
  }
  kind_ = facts.writes ? Kind::Write : facts.only_reads ? Kind::Read : Kind::Other;
  if (facts.opens_read_only) read_only_block_ = reads_there_;
  parses_ = 0;
  if (shadow_) plan_copy(unit);
  for (std::size_t at = 0; at < bytes.size();) {
    const Cut cut = cutter_.next(bytes.substr(at));
    const auto* const piece = std::get_if<Piece>(&cut);
    if (!piece) break;  // cut_unit() has seen that there is one
    if (piece->first()) {
      each_receiver([&](Upstream& up) { bring_for(up, *piece); });
      trial_id_ = on_request(*piece);
    }
    forward(*piece);
    at += piece->bytes.size();
  }
  on_trial_ = trial;
  mid_unit_ = unit.what == Unit::What::Segment && unit.end != Unit::End::Closed;
  note_sent(facts);
}

void PostgresSession::refuse_unit(std::string_view bytes, Refusal why) {
  send_refusal(bytes[0], why);
  if (bytes.ends_with(kSync)) send_ours(kSync, Mark::Forward);
}

// In place of a message of that type: its error is what the client's would be answered with. Of the
// extended protocol it makes the server skip to the client's Sync.
void PostgresSession::send_refusal(char type, Refusal why) {
  const std::string_view text = why == Refusal::ReadOnly ? kReadOnlyRefusal : kCancelledRefusal;
  std::string ours;
  if (ends_unit(type)) {
    append_query(ours, text);
    return send_ours(ours, Mark::Forward);
  }
  append_parse(ours, "", text);
  send_ours(ours, Mark::Skip);
  ours.clear();
  MessageBuilder(ours, from_client::kBind).text("").text("").u16(0).u16(0).u16(0);
  send_ours(ours, Mark::Skip);
  ours.clear();
  MessageBuilder(ours, from_client::kExecute).text("").u32(0);
  send_ours(ours, Mark::Forward);
}

// What is forwarded is counted as the client's.
void PostgresSession::send_ours(std::string_view message, Mark mark) {
  const char type = message[0];
  const std::uint64_t id = server().owed().sent({type, '\0', message.size()}, mark);
  if (type == from_client::kQuery || type == from_client::kParse) server().holds.unnamed = 0;
  if (ends_unit(type)) sent_.push({id, now_ns_});
  server().stream().write_copy(message);
  counters().server_out.add(message.size());
}

void PostgresSession::note_sent(const UnitFacts& facts) {
  note_custom_settings();
  if (facts.changes_session) ++version_;
  defines_ |= facts.strongest >= SqlClass::Ddl;
  if (shadow_ && facts.says_session) shadow_->note_change();
  switch (facts.leaves) {
    case Leaves::AsItWas:
      break;
    case Leaves::Open:
      block_ = Block::Open;
      break;
    case Leaves::Closed:
      block_ = Block::None;
      break;
    case Leaves::Unsure:
      block_ = Block::Unsure;
      break;
  }
}

// --- statements that the server lacks

std::uint64_t PostgresSession::inject(Upstream& up, std::string_view message, char type,
                                      char subject) {
  const std::uint64_t id = up.owed().sent({type, subject, message.size()}, Mark::Skip);
  up.stream().write_copy(message);
  counters().server_out.add(message.size());
  return id;
}

void PostgresSession::bring_for(Upstream& up, const Piece& piece) {
  if (piece.type == from_client::kQuery || piece.type == from_client::kParse) {
    for (const std::string& name : reader_.named_by_sql()) bring_for_sql(up, name, piece.type);
  }
  if (piece.type == from_client::kBind) {
    bring_for_bind(up, piece);
  } else if (piece.type == from_client::kDescribe) {
    const auto subject = view_subject(piece.body());
    if (subject && subject->kind == kStatement) bring_statement(up, subject->name);
  } else if (piece.type == from_client::kParse) {
    // One that is there makes the Parse fail, as it should; one that no more should be does not.
    const auto name = view_parse_name(piece.body());
    const bool underway = name && state_.underway(*name) != SessionState::Underway::Nothing;
    if (!name || name->empty() || underway) return;
    bring_statement(up, *name);
  }
}

// EXECUTE and DEALLOCATE know the statements of Parse, too. Before a Query it is brought in a
// segment of its own: a Query is skipped when a Parse before it fails.
void PostgresSession::bring_for_sql(Upstream& up, std::string_view name, char type) {
  const SessionState::Statement* const statement = state_.find(name);
  if (!statement || state_.underway(name) != SessionState::Underway::Nothing) return;
  const auto there = up.holds.statements.find(name);
  const bool has = there != up.holds.statements.end() && there->second == statement->serial;
  if (has) return;
  bring_statement(up, name);
  if (type != from_client::kQuery || mid_unit_) return;
  up.holds.asked.back().what = Asked::What::Alone;
  inject(up, kSync, from_client::kSync);
}

// A Bind that passes another number of parameters than its statement takes fails for that even in a
// failed transaction (exec_bind_message()), where statements can not be brought.
void PostgresSession::bring_for_bind(Upstream& up, const Piece& piece) {
  const auto bind = view_bind(piece.body());
  if (!bind) return;
  const bool sound = !up.owed().owes() && up.owed().transaction() != Transaction::Failed;
  const SessionState::Statement* const statement = sound ? nullptr : state_.find(bind->statement);
  const auto takes = statement ? parameters_of(*statement) : std::nullopt;
  const auto passes = view_bind_count(piece.body());
  if (!takes || !passes || *takes == *passes) return bring_statement(up, bind->statement);
  bring_stand_in(up, bind->statement, *takes);
}

// The session has no such statement any more: the server must not have it, either.
void PostgresSession::drop_stale(Upstream& up, std::string_view name) {
  if (state_.kept() == Kept::NotAll) return;
  Holdings& there = up.holds;
  if (name.empty()) {
    if (std::exchange(there.unnamed, 0) == 0) return;
  } else {
    const auto found = there.statements.find(name);
    if (found == there.statements.end()) return;
    there.statements.erase(found);
  }
  std::string close;
  append_close(close, kStatement, name);
  const std::uint64_t id = inject(up, close, from_client::kClose);
  up.holds.asked.push({id, Asked::What::Dropped, std::string(name), 0});
}

void PostgresSession::bring_statement(Upstream& up, std::string_view name) {
  if (state_.underway(name) != SessionState::Underway::Nothing) return;
  Holdings& there = up.holds;
  const SessionState::Statement* const statement = state_.find(name);
  if (!statement) return drop_stale(up, name);
  if (name.empty()) {
    if (std::exchange(there.unnamed, statement->serial) == statement->serial) return;
    return bring(up, *statement, name);
  }
  const auto found = there.statements.find(name);
  if (found != there.statements.end()) {
    if (std::exchange(found->second, statement->serial) == statement->serial) return;
    std::string close;
    append_close(close, kStatement, name);
    inject(up, close, from_client::kClose);
  } else {
    there.statements.emplace(name, statement->serial);
  }
  bring(up, *statement, name);
}

// A statement that a failed transaction lets in, and that never does anything, takes as many
// parameters as the one that is meant.
void PostgresSession::bring_stand_in(Upstream& up, std::string_view name, std::size_t parameters) {
  if (state_.underway(name) != SessionState::Underway::Nothing) return;
  Holdings& there = up.holds;
  const std::uint64_t meant = state_.find(name)->serial;
  std::uint64_t& has = name.empty() ? there.unnamed : there.statements[std::string(name)];
  if (has == meant) return;
  has = kStandIn;
  std::string messages;
  append_close(messages, kStatement, name);
  inject(up, messages, from_client::kClose);
  messages.clear();
  append_parse(messages, name, kStandInText, std::vector<std::uint32_t>(parameters, kTextOid));
  const std::uint64_t id = inject(up, messages, from_client::kParse);
  there.asked.push({id, Asked::What::Brought, std::string(name), kStandIn});
}

void PostgresSession::bring(Upstream& up, const SessionState::Statement& statement,
                            std::string_view name) {
  const std::uint64_t id = inject(up, statement.message, from_client::kParse);
  up.holds.asked.push({id, Asked::What::Brought, std::string(name), statement.serial});
}

// A message is about to be sent: what the server has from then on.
void PostgresSession::note_statement(Upstream& up, std::uint64_t id, const Piece& piece) {
  if (piece.type == from_client::kParse) note_made(up, id, piece);
  if (piece.type == from_client::kClose) note_closed(up, id, piece);
  if (piece.type == from_client::kQuery) up.holds.unnamed = 0;
}

// A Parse of a name that is taken fails.
void PostgresSession::note_made(Upstream& up, std::uint64_t id, const Piece& parse) {
  const auto name = view_parse_name(parse.body());
  if (!name) return;
  Holdings& there = up.holds;
  const std::uint64_t serial = state_.last_serial() + 1;
  if (name->empty()) {
    there.unnamed = serial;
  } else if (!state_.find(*name) || state_.underway(*name) == SessionState::Underway::Closed) {
    there.statements.insert_or_assign(std::string(*name), serial);
    there.asked.push({id, Asked::What::Made, std::string(*name), serial});
  }
}

void PostgresSession::note_closed(Upstream& up, std::uint64_t id, const Piece& close) {
  const auto subject = view_subject(close.body());
  if (!subject || subject->kind != kStatement) return;
  Holdings& there = up.holds;
  const auto found = there.statements.find(subject->name);
  if (found == there.statements.end()) return;
  there.asked.push({id, Asked::What::Closed, std::string(subject->name), found->second});
}

// A reply to the message `id` has come, or the first that says that earlier ones were skipped.
void PostgresSession::note_asked(Upstream& up, std::uint64_t id, char type) {
  Ring<Asked>& asked = up.holds.asked;
  while (!asked.empty() && asked.front().id <= id) {
    const bool skipped = asked.front().id < id;
    settle_asked(up.holds, asked.front(), skipped ? from_server::kErrorResponse : type);
    asked.pop();
  }
}

// What is not known to be there any more, nor to be gone, is 0.
void PostgresSession::settle_asked(Holdings& there, const Asked& asked, char type) {
  const bool failed = type == from_server::kErrorResponse;
  const auto found = there.statements.find(asked.name);
  const bool same = found != there.statements.end() && found->second == asked.serial;
  switch (asked.what) {
    case Asked::What::Brought:
    case Asked::What::Alone:
      if (failed && asked.name.empty() && there.unnamed == asked.serial) there.unnamed = 0;
      if (failed && same) found->second = 0;
      break;
    case Asked::What::Dropped:
      if (failed && !asked.name.empty()) there.statements.insert_or_assign(asked.name, 0);
      break;
    case Asked::What::Made:
      if (!failed || !same) break;
      if (state_.find(asked.name)) {
        found->second = 0;
      } else {
        there.statements.erase(found);
      }
      break;
    case Asked::What::Closed:
      if (!failed && same) there.statements.erase(found);
      break;
  }
}

// --- trials: a read that fails on new before the client has seen anything of it is asked of old

// Old is as the session left it.
bool PostgresSession::can_fall_back() const {
  const Upstream& old = at(Side::Old);
  return current_ == Side::New && old.state() == Upstream::State::Open && !old.owed().owes() &&
         old.owed().transaction() == Transaction::Idle && old.holds.version == version_;
}

void PostgresSession::succeed() {
  on_trial_ = false;
  for (const auto& [id, type] : trial_answers_) state_.answered(id, type, {});
  trial_answers_.clear();
  client_.write_copy(trial_kept_);
  counters().client_out.add(trial_kept_.size());
  trial_kept_.clear();
}

void PostgresSession::fall_back() {
  assert(on_trial_);
  counters().fallbacks.add();
  on_trial_ = false;
  server().holds.ignored_through = trial_id_;
  server().passing = Goes::Nowhere;
  server().holds.unnamed = 0;
  state_.forget_pending();
  trial_answers_.clear();
  sent_.clear();
  leave_cancel();
  current_ = Side::Old;
  reads_there_ = false;
  if (std::exchange(trial_cancelled_, false)) {
    refuse_unit(trial_bytes_, Refusal::Cancelled);
  } else {
    read_unit(trial_bytes_);
    send_unit(trial_bytes_, {trial_bytes_.size(), Unit::What::Segment, Unit::End::Closed},
              {Choice::Do::Go});
  }
  server().stream().flush();
  if (client_ended_ && held_ == Held::No) server().stream().shutdown_when_sent();
}

}  // namespace crossfade::postgres
