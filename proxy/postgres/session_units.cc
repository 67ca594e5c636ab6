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
#include "proxy/kept_bytes.h"
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

Facts at_bucket(std::uint32_t bucket) {
  Facts facts;
  facts.keyed = true;
  facts.bucket_low = facts.bucket_high = facts.caller_bucket = bucket;
  return facts;
}

Facts write_at(std::uint32_t bucket) {
  Facts facts = at_bucket(bucket);
  facts.kind = Kind::Write;
  return facts;
}

// What a transaction will do is not known when it begins; and what is about the server or what the
// session has done there (lastval(), catalogs) is asked where its writes are run first.
Facts facts_for_plan(const UnitFacts& unit, std::uint32_t bucket) {
  const bool reads = (unit.only_reads || unit.opens_read_only) && !unit.sided;
  if (!reads) return write_at(bucket);
  Facts facts = at_bucket(bucket);
  facts.kind = Kind::Read;
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
  const SqlCatalog& catalog = interlay_.classifier(database_).catalog();
  if (catalog.has_given_settings()) version_ = 1;
  if (!was_used_) return;
  custom_lost_ |= catalog.has_untold_setters();  // it may have called one
  version_ = 1;
  statements_unseen_ = true;
  reader_.doubt_prepared();
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

// What is redefined elsewhere can do nothing to what is asked in a read-only transaction but make
// it fail there: it has begun, and is where it is.
void PostgresSession::begin_reading() {
  const CatalogDoor& catalog = loop().postgres().catalog;
  const bool begun = read_only_block_ && block() != Block::None;
  const bool asks = catalog.unread && !begun;
  reader_.begin(interlay_.classifier(database_), reading_, users(),
                asks ? catalog.unread(interlay_.id()) : nullptr,
                newest_route()->asks_forms() ? &loop().api_scratch().said : nullptr);
}

void PostgresSession::read_unit(std::string_view bytes) {
  if (block() == Block::None) reader_.forget_portals();
  begin_reading();
  MessageCutter cutter(Stream::Client, settings().segment_max);
  each_piece(bytes, cutter, [this](const Piece& piece) {
    if (piece.first()) reader_.on_message(piece);
  });
}

// More of a unit whose side was chosen before all of it was there. False: it is refused.
bool PostgresSession::read_on(const Piece& piece) {
  parses_ = 0;
  begin_reading();
  reader_.on_message(piece);
  if (reader_.facts().parts > 0 && leads_out(reader_.facts())) {
    refused_in_read_only_ = true;
    send_refusal(piece.type, Refusal::ReadOnly);
    mid_unit_ = !ends_unit(piece.type);
    return false;
  }
  if (copying() && leaves_reading()) fail_copies(Drop::StateRefused);
  each_receiver([&](Upstream& up) { bring_for(up, piece); });
  if (dual_under_way()) dual_->add(reader_);
  note_new_only();
  note_sent(reader_.facts());
  if (reader_.facts().writes && !server().owed().awaits_sync()) suspect_lone();
  return true;
}

// While there is one side nobody reads SQL, but for what no server tells later.
void PostgresSession::glance(const Piece& piece) {
  const bool sql = piece.type == from_client::kQuery || piece.type == from_client::kParse;
  if (!sql || !may_set_custom(piece.body())) return;
  reader_.begin(interlay_.classifier(database_), reading_);
  reader_.on_message(piece);
  note_custom_settings();
  reader_.take_redefined();  // the catalog is read before a migration begins
}

// No server lists them.
void PostgresSession::note_custom_settings() {
  custom_lost_ |= reader_.sets_untold();
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
  if (dual_under_way()) {
    dual_->closed |= ends_unit(piece.type);
    keep_for_second(piece);
    note_rows(piece);
  }
  state_.sent(id, piece, parses ? reader_.facts_of_parse(parses_++) : nullptr);
}

// Where the transaction stands that the next unit is run in.
PostgresSession::Block PostgresSession::block() const {
  if (server().owed().owes()) return block_;
  return server().owed().transaction() == Transaction::Idle ? Block::None : Block::Open;
}

Side PostgresSession::write_side() const {
  return answering(*newest_route(), write_at(read_bucket()));
}

PostgresSession::Choice PostgresSession::choose(const Unit& unit, std::string_view bytes) {
  if (on_trial_) {
    wait_ = Wait::Trial;
    return {Choice::Do::Wait};
  }
  if (waits_for_dual(unit)) {
    wait_ = Wait::Dual;
    return {Choice::Do::Wait};
  }
  read_unit(bytes);
  if (std::exchange(wait_cancelled_, false)) {
    wait_ = Wait::Nothing;
    leave_note();
    if (dual_ && block() == Block::None) abandon_dual();  // it has not begun
    return {.act = Choice::Do::Refuse, .refusal = Refusal::Cancelled};
  }
  if (dual_under_way()) {
    dual_->add(reader_);
    return {Choice::Do::Go};
  }
  // What goes on with a COPY, is skipped up to a Sync, or asks nothing, belongs to whom the last
  // one was for.
  const bool goes_on = unit.what == Unit::What::Data || unit.what == Unit::What::Farewell ||
                       takes_data(server().owed().copying()) || server().owed().awaits_sync();
  const bool may_ask_yet = unit.end != Unit::End::Closed;
  if (goes_on || (reader_.facts().parts == 0 && !may_ask_yet)) return {Choice::Do::Go};
  // Whether what was brought is there hangs on what was sent before it.
  const bool names = unit.what == Unit::What::Segment || !reader_.named_by_sql().empty();
  if (server().owed().owes() && names && brings_under_way()) {
    wait_ = Wait::Answers;
    return {Choice::Do::Wait};
  }
  block_ = block();
  const bool free = block_ == Block::None;
  // One that has not begun is of the table by which it was to begin, and of a unit that was to.
  if (free && dual_ && dual_->route != newest_route()) dual_.reset();
  Choice choice = free ? choose_free(unit, bytes) : choose_in_block(unit);
  if (choice.act == Choice::Do::Go) choice = choose_dual(choice, unit);
  if (free && choice.act == Choice::Do::Go && !choice.dual) dual_.reset();
  return choice;
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
  refused_in_read_only_ = true;
  return {unit.end == Unit::End::Unfinished ? Choice::Do::Await : Choice::Do::Refuse};
}

// What has an effect on new even in the read-only transaction that is open there, or behind its
// end: units are not split.
bool PostgresSession::leads_out(const UnitFacts& facts) const {
  return read_only_block_ && leads_out(facts, block_);
}

bool PostgresSession::leads_out(const UnitFacts& facts, Block block) {
  const bool ends = facts.leaves != Leaves::AsItWas || block != Block::Open;
  return facts.works_read_only || facts.says_begin || (ends && facts.writes);
}

bool PostgresSession::runs_unseen() const {
  return std::ranges::any_of(reader_.texts(), [](const UnitReader::Facts& text) {
    return text->pins.has(Pin::HiddenCode);
  });
}

// What names a statement that may be of before anybody looked waits until its server has told them.
// It is asked once: what it does not tell is not there.
bool PostgresSession::waits_for_names() {
  const bool names = reader_.names_unseen() || !reader_.named_by_sql().empty();
  if (!statements_unseen_ || !names || !server().owed().settled()) return false;
  wait_ = server().owed().owes() ? Wait::Answers : Wait::Telling;
  if (wait_ == Wait::Telling && !asking_) ask_inventory();
  return true;
}

PostgresSession::Choice PostgresSession::choose_free(const Unit& unit, std::string_view bytes) {
  if (waits_for_names()) return {Choice::Do::Wait};
  const InterlayRoute& route = *newest_route();
  const UnitFacts& facts = reader_.facts();
  read_only_block_ = false;
  Facts request = facts_for_plan(facts, read_bucket(bytes));
  // Where nobody has read a catalog, almost any function of users would be refused in it.
  const SqlCatalog& catalog = interlay_.classifier(database_).catalog();
  const bool refuses = refused_in_read_only_ || &catalog == SqlCatalog::built_in().get();
  if (facts.opens_read_only && refuses) request.kind = Kind::Write;
  const bool asks = request.kind == Kind::Read && facts.parts > 0;
  loop().api_scratch().texts.api.reset();
  request.stays = asks && is_of_no_api(route);
  const auto api = loop().api_scratch().texts.api;
  if (unit.end == Unit::End::Unfinished && hangs_on_user(route, request)) {
    return {Choice::Do::Await};
  }
  const bool anew = asks && loop().api_scratch().texts.anew;
  const Side whole_side = answering(route, request);
  // What is not known to its end may yet write; what has no end of its own leaves its server in the
  // midst of it when it fails.
  const bool whole = is_whole(unit, bytes);
  const Side writes = write_side();
  Side side = whole ? whole_side : writes;
  if (side != writes && (is_suspected() || (anew && is_suspected_anew(route)))) side = writes;
  if (unit.end == Unit::End::Unfinished && side != whole_side) return {Choice::Do::Await};
  const bool reads_there = side != writes;
  const bool tried = reads_there && side == Side::New;
  const Errand errand = tried ? Errand::Trial : Errand::Unit;
  // It has only read here until now.
  if (side == current_ && side == writes && speaks_of_other_types(side)) {
    if (server().owed().owes()) {
      wait_ = Wait::Answers;
      return {Choice::Do::Wait};
    }
    end_tied();
    return {Choice::Do::Gone};
  }
  const Crossing crossing = side == current_ ? Crossing::There : go_to(side, errand);
  switch (crossing) {
    case Crossing::There:
      reads_there_ = current_ != writes;
      return {.act = Choice::Do::Go, .trial = reads_there_ && facts.only_reads, .api = api};
    case Crossing::Waits:
      return {Choice::Do::Wait};
    case Crossing::Stays:
      return {.act = Choice::Do::Go, .api = api};
    case Crossing::Gone:
      break;
  }
  return {Choice::Do::Gone};
}

// Of the unit that was read last, where the migration moves apis: whether any of it belongs to none
// that moves. What a block that stays open will ask is not known.
bool PostgresSession::is_of_no_api(const InterlayRoute& route) {
  if (!route.sql_apis) return false;
  const UnitFacts& facts = reader_.facts();
  ApiScratch& scratch = loop().api_scratch();
  const bool ends = facts.leaves == Leaves::AsItWas || facts.leaves == Leaves::Closed;
  const bool understood = facts.parts == scratch.said.texts.size();
  return !ends || !understood || !route.sql_apis->moves(scratch.said.texts, scratch.texts);
}

// `bytes` are read, and the server that is talked to is the one that was chosen.
void PostgresSession::send_unit(std::string_view bytes, const Unit& unit, const Choice& choice) {
  wait_ = Wait::Nothing;
  leave_note();
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
  if (choice.api) interlay_.count_api(*names_of(*newest_route()), *choice.api, current_);
  kind_ = facts.writes ? Kind::Write : facts.only_reads ? Kind::Read : Kind::Other;
  if (facts.opens_read_only) read_only_block_ = reads_there_;
  parses_ = 0;
  if (shadow_) plan_copy(unit, bytes);
  if (choice.dual) begin_dual_unit(bytes, unit);
  note_new_only();
  // cut_unit() has seen that they are there.
  each_piece(bytes, cutter_, [this](const Piece& piece) {
    if (piece.first()) {
      if (names_statements(piece.type)) {
        each_receiver([&](Upstream& up) { bring_for(up, piece); });
      }
      trial_id_ = on_request(piece);
    }
    forward(piece);
  });
  on_trial_ = trial;
  mid_unit_ = unit.what == Unit::What::Segment && unit.end != Unit::End::Closed;
  note_sent(facts);
}

void PostgresSession::refuse_unit(std::string_view bytes, Refusal why) {
  send_refusal(bytes[0], why);
  if (bytes.ends_with(kSyncMessage)) send_ours(kSyncMessage, Mark::Forward);
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
  if (ends_unit(type)) sent_.push({.id = id, .at_ns = now_ns_ & Sent::kTimes});
  server().stream().write_copy(message);
  counters().server_out.add(message.size());
}

void PostgresSession::note_sent(const UnitFacts& facts) {
  note_custom_settings();
  if (facts.writes && !dual_under_way()) note_lone();
  if (facts.says_types && !types_of_) types_of_ = reads_there_ ? write_side() : current_;
  if (facts.changes_session) ++version_;
  defining_ |= facts.strongest >= SqlClass::Ddl || runs_unseen() || facts.commits_another;
  committing_ |= facts.commits;
  if (!mid_unit_) note_definitions();
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

// Of the unit whose end was sent last.
void PostgresSession::note_definitions() {
  if (sent_.empty() || !(defining_ || committing_)) return;
  Sent& unit = sent_.back();
  unit.defines = std::exchange(defining_, false) || unit.defines;
  unit.commits = std::exchange(committing_, false) || unit.commits;
}

// --- writes that only new gets

void PostgresSession::note_new_only() {
  if (!is_new_only()) return;
  const UnitFacts& facts = reader_.facts();
  const bool hidden = runs_unseen();
  const bool outside = block_ != Block::Open;
  new_only_.asks({.writes = facts.writes,
                  .ends = outside || facts.controls || hidden,
                  .hidden = outside && hidden,
                  .commits_unseen = outside && facts.commits_unseen});
}

void PostgresSession::count(NewOnly::Counts counts) {
  if (counts == NewOnly::Counts::Nothing) return;
  counters().new_only_writes.add();
  if (counts == NewOnly::Counts::Unsure) counters().new_only_unsure.add();
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
  empty(trial_kept_);
  empty(trial_bytes_);
}

void PostgresSession::fall_back() {
  assert(on_trial_);
  counters().fallbacks.add();
  on_trial_ = false;
  server().holds.ignored_through = trial_id_;
  server().passing = Goes::Nowhere;
  server().holds.unnamed = 0;
  state_.forget_pending();
  new_only_.forget();
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
}

}  // namespace crossfade::postgres
