// Adding facts up, and what a unit's messages stand for.
#include "protocols/postgres/unit_facts.h"

#include <algorithm>
#include <iterator>

#include "protocols/postgres/frontend.h"
#include "protocols/postgres/moment.h"
#include "protocols/postgres/sql_glance.h"
#include "protocols/postgres/types.h"

namespace crossfade::postgres {
namespace {

constexpr std::size_t kFewNames = 16;  // are found faster one by one

using What = TransactionStep::What;
using Access = TransactionStep::Access;

Leaves after(const SqlFacts& facts, Leaves before) {
  if (facts.pins.has(Pin::Unread)) return Leaves::Unsure;
  Leaves leaves = before;
  for (const Step& step : facts.steps) {
    const auto* const transaction = std::get_if<TransactionStep>(&step.what);
    if (!transaction) continue;
    switch (transaction->what) {
      case What::Begin:
        leaves = Leaves::Open;
        break;
      case What::Commit:
      case What::Rollback:
        leaves = transaction->chain ? Leaves::Open : Leaves::Closed;
        break;
      case What::Prepare:
        leaves = Leaves::Closed;
        break;
      case What::Savepoint:
      case What::RollbackTo:
      case What::Release:
      case What::CommitPrepared:
      case What::RollbackPrepared:
      case What::SetModes:
        break;
    }
  }
  return leaves;
}

bool begins_read_only(const SqlFacts& facts) {
  if (facts.steps.empty() || facts.steps[0].statement != 0) return false;
  const auto* const first = std::get_if<TransactionStep>(&facts.steps[0].what);
  return first && first->what == What::Begin && first->access == Access::ReadOnly;
}

// How many transaction blocks it opens.
std::size_t begins(const SqlFacts& facts) {
  return static_cast<std::size_t>(std::ranges::count_if(facts.steps, [](const Step& step) {
    const auto* const transaction = std::get_if<TransactionStep>(&step.what);
    return transaction && (transaction->what == What::Begin || transaction->chain);
  }));
}

bool says(What what, const SqlFacts& facts) {
  return std::ranges::any_of(facts.steps, [what](const Step& step) {
    const auto* const transaction = std::get_if<TransactionStep>(&step.what);
    return transaction && transaction->what == what;
  });
}

bool says_session(const SqlFacts& facts) {
  const bool locks =
      facts.locks.has(SqlLock::AdvisorySession) || facts.locks.has(SqlLock::AdvisoryRelease);
  const bool ties = facts.pins.has(Pin::TempObject) || facts.pins.has(Pin::HoldCursor) ||
                    facts.pins.has(Pin::SessionLock) || facts.pins.has(Pin::Listen) ||
                    facts.pins.has(Pin::UnreplayableSet) || facts.pins.has(Pin::UntoldSet);
  if (locks || ties) return true;
  return std::ranges::any_of(facts.steps, [](const Step& step) {
    const auto* const session = std::get_if<SessionStep>(&step.what);
    return session && session->scope == SessionStep::Scope::Session &&
           session->what != SessionStep::What::Execute &&  // as what it runs
           session->what != SessionStep::What::Declare &&
           session->what != SessionStep::What::Fetch && session->what != SessionStep::What::Move;
  });
}

// EXECUTE is as what it runs.
bool says_step(const SqlFacts& facts) {
  return std::ranges::any_of(facts.steps, [](const Step& step) {
    const auto* const session = std::get_if<SessionStep>(&step.what);
    return session && session->what != SessionStep::What::Execute;
  });
}

bool changes_block(const SqlFacts& facts) {
  return facts.user_code || facts.pins.has(Pin::HiddenCode) || says_step(facts);
}

bool changes_session(const SqlFacts& facts) {
  return !facts.pins.empty() || facts.strongest >= SqlClass::Ddl || says_session(facts);
}

// A read-only transaction refuses what changes data; of the rest this has an effect all the same,
// which may be one that no other server can be given.
bool works_read_only(const SqlFacts& facts) {
  const bool notifies = facts.writes && facts.written.empty() && facts.writes_listed;
  const bool ties = facts.pins.has(Pin::TempObject) || facts.pins.has(Pin::HoldCursor) ||
                    facts.pins.has(Pin::SessionLock) || facts.pins.has(Pin::Listen) ||
                    facts.pins.has(Pin::HiddenCode) || facts.pins.has(Pin::Unread) ||
                    facts.pins.has(Pin::UntoldSet) || facts.locks.has(SqlLock::AdvisoryTransaction);
  if (notifies || ties) return true;
  return std::ranges::any_of(facts.steps, [](const Step& step) {
    const auto* const transaction = std::get_if<TransactionStep>(&step.what);
    const auto* const copy = std::get_if<CopyStep>(&step.what);
    return (transaction && transaction->access == Access::ReadWrite) ||
           (copy && copy->place != CopyStep::Place::Client);
  });
}

template <class What>
bool has_step(const SqlFacts& facts) {
  return std::ranges::any_of(
      facts.steps, [](const Step& step) { return std::holds_alternative<What>(step.what); });
}

const std::shared_ptr<const SqlFacts>& unknown() {
  static const auto facts = std::make_shared<const SqlFacts>(unknown_sql());
  return facts;
}

// Of what may run anything, and ends no transaction.
const std::shared_ptr<const SqlFacts>& unseen_code() {
  static const auto facts = [] {
    SqlFacts made;
    made.strongest = SqlClass::NondeterministicWrite;
    made.writes = true;
    made.deterministic = made.drawn_by_definitions = false;
    made.writes_listed = made.reads_listed = false;
    made.statements = 1;
    made.pins.add(Pin::HiddenCode);
    return std::make_shared<const SqlFacts>(std::move(made));
  }();
  return facts;
}

// Facts of what does the one or the other.
//   one   null: nothing yet
std::shared_ptr<const SqlFacts> either(const std::shared_ptr<const SqlFacts>& one,
                                       const std::shared_ptr<const SqlFacts>& other) {
  if (!one || one == other) return other;
  SqlFacts both = *one;
  add_effects(both, *other);
  return std::make_shared<const SqlFacts>(std::move(both));
}

// LOCK TABLE and DECLARE fail outside of a block, SET LOCAL and SET CONSTRAINTS warn, and a cursor
// lives no longer than it.
bool minds_blocks(const SqlFacts& facts) {
  return facts.locks.has(SqlLock::Table) || says_step(facts);
}

// It has no effect on anything, be it a lock or code of users that nobody has read.
bool is_mere_read(const SqlFacts& facts) {
  return facts.only_reads() && facts.steps.empty() && facts.locks.empty() && !facts.user_code;
}

// Nothing of it stays in the session, or ends anything there.
bool says_no_more(const SqlFacts& facts) {
  return facts.steps.empty() && facts.pins.empty() && facts.strongest < SqlClass::Ddl &&
         facts.redefines == Redefines::Nothing;
}

bool is_tame(const SqlFacts& facts) {
  return !facts.writes && !changes_session(facts) && !works_read_only(facts);
}

// Of the message that has made a statement; nothing: it is not kept, or is no Parse.
std::optional<Parse> kept_parse(std::string_view message) {
  return message.starts_with(from_client::kParse) ? view_parse(message.substr(kHeaderSize))
                                                  : std::nullopt;
}

bool says_types(const Parse& parse) {
  for (std::size_t i = 0; i < parse.type_count(); ++i) {
    if (is_user_type(parse.type(i))) return true;
  }
  return false;
}

}  // namespace

bool is_user_type(std::uint32_t type) { return type >= kFirstUserOid; }

SessionState::Facts facts_with_types(SessionState::Facts facts, bool of_users) {
  if (!of_users || facts->sided) return facts;
  SqlFacts made = *facts;
  made.sided = true;
  return std::make_shared<const SqlFacts>(std::move(made));
}

void UnitFacts::add(const SqlFacts& facts) {
  if (is_mere_read(facts)) {
    opens_read_only &= parts > 0;
  } else {
    add_effects_of(facts);
  }
  strongest = std::max(strongest, facts.strongest);
  only_reads &= facts.only_reads();
  writes |= facts.writes;
  const bool as_another = facts.writes && facts.deterministic && !is_alike(facts);
  deterministic &= facts.deterministic && !as_another;
  drawn_by_definitions &=
      facts.drawn_by_definitions && !(as_another && facts.strongest != SqlClass::Ddl);
  sided |= facts.sided;
  sorted = parts == 0 && facts.sorted;
  commits_unseen |= facts.commits_unseen;
  how = weaker(how, how_of(facts));
  written_listed &= facts.writes_listed;
  read_listed &= facts.reads_listed;
  ++parts;
}

// All that a mere read has none of.
void UnitFacts::add_effects_of(const SqlFacts& facts) {
  const bool opens = parts == 0 ? begins_read_only(facts) && begins(facts) == 1
                                : opens_read_only && begins(facts) == 0;
  opens_read_only = opens && is_tame(facts);
  changes_session |= postgres::changes_session(facts);
  says_session |= postgres::says_session(facts);
  changes_block |= postgres::changes_block(facts);
  works_read_only |= postgres::works_read_only(facts);
  says_begin |= says(What::Begin, facts);
  leaves = after(facts, leaves);
  copies |= has_step<CopyStep>(facts);
  controls |= has_step<TransactionStep>(facts);
  commits |= says(What::Commit, facts);
  commits_another |= says(What::CommitPrepared, facts);
  minds_blocks |= postgres::minds_blocks(facts);
}

void UnitReader::begin(SqlClassifier& classifier, SqlReading reading, Users users,
                       std::shared_ptr<const Redefined> elsewhere, Said* said) {
  classifier_ = &classifier;
  elsewhere_ = std::move(elsewhere);
  said_ = said;
  if (said_ != nullptr) said_->clear();
  reading_ = reading;
  facts_ = UnitFacts();
  facts_.users = users;
  texts_.clear();
  parsed_.clear();
  index_ = nullptr;
  bound_.clear();
  custom_.clear();
  named_.clear();
  names_unseen_ = false;
  sets_untold_ = false;
  if (judged_by_ != classifier.version()) judge_again();
}

// What a text means hangs on functions and views that may have been replaced since.
void UnitReader::judge_again() {
  judged_by_ = classifier_->version();
  state_.judge_again([this](std::string_view message, const Facts& before) -> Facts {
    // What was not read then stays so: who knows how it was to be read.
    if (!before || before->pins.has(Pin::Unread)) return before;
    const auto parse = kept_parse(message);
    return parse ? facts_with_types(judge_text(parse->text), says_types(*parse)) : nullptr;
  });
  for (auto& [name, prepared] : by_sql_) {
    Facts facts;
    for (const std::string& text : prepared.texts) facts = either(facts, judge_prepare(text, name));
    prepared.facts = facts ? std::move(facts) : unknown();
  }
}

UnitReader::Facts UnitReader::judge_text(std::string_view text) {
  return classifier_->facts_of(text, SqlReading::Standard);  // it was read, and so is standard
}

UnitReader::Facts UnitReader::judge_prepare(std::string_view text, std::string_view name) {
  const Facts facts = judge_text(text);
  if (facts->steps.size() != 1) return unknown();
  const auto* const step = std::get_if<SessionStep>(&facts->steps[0].what);
  const bool prepares = step && step->what == SessionStep::What::Prepare && step->name == name;
  return prepares && step->inner ? step->inner : unknown();
}

void UnitReader::on_message(const Piece& first) {
  switch (first.type) {
    case from_client::kQuery:
      if (const auto text = first.whole() ? view_query(first.body()) : std::nullopt) {
        on_text(*text);
        return;
      }
      return on_unknown();
    case from_client::kParse:
      return on_parse(first);
    case from_client::kBind:
      return on_bind(first);
    case from_client::kExecute:
      return on_execute(first);
    case from_client::kClose:
      if (const auto subject = view_subject(first.body()); subject && subject->kind == kPortal) {
        const auto closed = portals_.find(subject->name);
        if (closed != portals_.end()) portals_.erase(closed);
      }
      return;
    case from_client::kFunctionCall:
      return on_unknown();
    default:
      return;
  }
}

void UnitReader::on_parse(const Piece& first) {
  const auto parse = first.whole() ? view_parse(first.body()) : std::nullopt;
  if (!parse) {
    note_parse(view_parse_name(first.body()).value_or(""), nullptr);
    if (said_ != nullptr) said_->parsed.push_back(Said::kNoText);
    return on_unknown();
  }
  const bool says = says_types(*parse);
  note_parse(parse->name, facts_with_types(on_text(parse->text), says));
  if (said_ != nullptr) note_said_parse(*parse);
  facts_.sided |= says;
  facts_.says_types |= says;
}

// Of a Parse whose text was told last.
void UnitReader::note_said_parse(const Parse& parse) {
  said_->texts.back().types = parse.types;
  said_->parsed.push_back(said_->texts.size() - 1);
}

// What names no statement is the last of them: where one fails, nothing behind it is run. A named
// one fails where there is one already.
void UnitReader::note_parse(std::string_view name, Facts facts) {
  const Parsed* const before = name.empty() ? nullptr : parsed_as(name);
  Facts any = either(before ? before->any : nullptr, facts ? facts : unknown());
  parsed_.push_back({name, std::move(facts), std::move(any)});
  if (index_) index_->parsed[name] = parsed_.size() - 1;
  if (!index_ && parsed_.size() > kFewNames) index_names();
}

void UnitReader::index_names() {
  index_ = std::make_unique<Index>();
  for (std::size_t i = 0; i < parsed_.size(); ++i) index_->parsed[parsed_[i].name] = i;
  index_->bound.insert(bound_.begin(), bound_.end());
}

// The last of that name; null: none.
const UnitReader::Parsed* UnitReader::parsed_as(std::string_view name) const {
  if (index_) {
    const auto found = index_->parsed.find(name);
    return found == index_->parsed.end() ? nullptr : &parsed_[found->second];
  }
  const auto is_it = [&](const Parsed& parsed) { return parsed.name == name; };
  const auto found = std::find_if(parsed_.rbegin(), parsed_.rend(), is_it);
  return found == parsed_.rend() ? nullptr : &*found;
}

UnitReader::Facts UnitReader::on_text(std::string_view text) {
  const Facts& found = classifier_->facts_of(text, reading_);
  if (!redefined_ && !elsewhere_ && says_no_more(*found)) {
    run(found, text);
    return found;
  }
  return on_telling_text(text, found);
}

// A text of which there is to note more than its own facts.
UnitReader::Facts UnitReader::on_telling_text(std::string_view text, const Facts& found) {
  Facts facts = executed_by_sql(found);
  const Facts now = by_now(facts);  // within itself it was looked through by who judged it
  note_redefined(*facts, text);
  run(now, text);
  note_settings(*facts);
  note_code(*facts, text);
  note_prepared(*facts);
  note_hidden(*now);
  note_cursors(*facts);
  return facts;
}

// Execute knows them by their names, as it does portals of Bind.
void UnitReader::note_cursors(const SqlFacts& facts) {
  for (const Step& step : facts.steps) {
    const auto* const session = std::get_if<SessionStep>(&step.what);
    const bool declares = session && (session->what == SessionStep::What::Declare ||
                                      session->what == SessionStep::What::DeclareHold);
    if (declares && session->inner) keep_portal(session->name, session->inner);
  }
}

void UnitReader::note_redefined(const SqlFacts& facts, std::string_view text) {
  const bool unread = facts.pins.has(Pin::Unread) && may_define(text);
  if (facts.redefines == Redefines::Nothing && !unread) return;
  if (!redefined_) redefined_ = std::make_unique<Redefined>();
  redefined_->add(facts);
  redefined_->others |= unread;
}

// What it does, if it does not do something else by now.
UnitReader::Facts UnitReader::by_now(const Facts& facts) const {
  if (!redefined_ && !elsewhere_) return facts;
  const auto touches = [&](const Redefined* what) { return what && what->touches(*facts); };
  // Both sides run definitions, whatever they define.
  if (facts->strongest == SqlClass::Ddl && !facts->beside_definitions) return facts;
  if (!touches(redefined_.get()) && !touches(elsewhere_.get())) return facts;
  return either(facts, unseen_code());
}

// EXECUTE does what was prepared by its name: by SQL, or by a Parse, as one of them may have
// failed.
UnitReader::Facts UnitReader::executed_by_sql(const Facts& facts) const {
  if (by_sql_.empty() || facts->steps.size() != 1) return facts;
  const auto* const step = std::get_if<SessionStep>(&facts->steps[0].what);
  if (!step || step->what != SessionStep::What::Execute) return facts;
  const auto found = by_sql_.find(step->name);
  if (found == by_sql_.end()) return facts;
  Facts meant = found->second.facts;
  const auto or_else = [&](const Facts& other, std::string_view = {}) {
    meant = either(meant, other ? other : unknown());
  };
  if (const Parsed* const parsed = parsed_as(step->name)) or_else(parsed->any);
  state_.each_meaning(step->name, or_else);
  if (prepared_ == Prepared::Unsure || state_.kept() == Kept::NotAll) or_else(unknown());
  return std::make_shared<const SqlFacts>(executed(*facts, *meant));
}

// What is not seen may have dropped statements, and prepared others by their names.
void UnitReader::note_hidden(const SqlFacts& facts) {
  if (facts.pins.has(Pin::HiddenCode) || facts.pins.has(Pin::Unread)) doubt_prepared();
}

void UnitReader::told_prepared(SqlClassifier& classifier, const std::vector<PreparedText>& by_sql) {
  classifier_ = &classifier;
  by_sql_.clear();
  by_sql_bytes_ = 0;
  prepared_ = Prepared::Seen;
  for (const PreparedText& statement : by_sql) {
    const bool room =
        by_sql_.size() < kPreparedMax && by_sql_bytes_ + statement.text.size() <= kPreparedBytesMax;
    if (!room) return;  // EXECUTE of a name that is not kept may do anything
    by_sql_bytes_ += statement.text.size();
    by_sql_[statement.name] = {{statement.text}, judge_prepare(statement.text, statement.name)};
  }
}

void UnitReader::note_prepared(const SqlFacts& facts) {
  for (const Step& step : facts.steps) {
    const auto* const session = std::get_if<SessionStep>(&step.what);
    if (!session) continue;
    const bool uses = session->what == SessionStep::What::Execute ||
                      session->what == SessionStep::What::Deallocate;
    if (uses && !session->name.empty()) named_.push_back(session->name);
    if (session->what != SessionStep::What::Prepare || !session->inner) continue;
    add_prepared(*session);
  }
}

void UnitReader::add_prepared(const SessionStep& prepare) {
  const bool room = by_sql_bytes_ + prepare.text.size() <= kPreparedBytesMax;
  if (!by_sql_.contains(prepare.name) && (by_sql_.size() >= kPreparedMax || !room)) return;
  Meanings& meaning = by_sql_[prepare.name];
  if (meaning.facts && meaning.texts.empty()) return;
  if (std::ranges::find(meaning.texts, prepare.text) != meaning.texts.end()) return;
  if (!room) {
    for (const std::string& text : meaning.texts) by_sql_bytes_ -= text.size();
    meaning = {{}, unknown()};
    return;
  }
  by_sql_bytes_ += prepare.text.size();
  meaning.texts.push_back(prepare.text);
  meaning.facts = either(meaning.facts, prepare.inner);
}

void UnitReader::on_bind(const Piece& first) {
  const auto bind = view_bind(first.body());
  if (!bind) {
    portals_.clear();  // it may be any of them
    return on_unknown();
  }
  const std::size_t texts_before = said_ == nullptr ? 0 : said_->texts.size();
  note_portal(bind->portal, on_statement(bind->statement));
  note_moments(first);
  if (said_ != nullptr) note_said_bind(bind->statement, texts_before, first);
}

// Of a Bind whose statement was told last, if it was made by an earlier unit: the last meaning of
// its name is the one that it has if nothing before it fails.
void UnitReader::note_said_bind(std::string_view statement, std::size_t texts_before,
                                const Piece& bind) {
  if (!bind.whole()) return;
  std::size_t text = Said::kNoText;
  if (const Parsed* const parsed = parsed_as(statement)) {
    text = said_->parsed[static_cast<std::size_t>(parsed - parsed_.data())];
  } else if (said_->texts.size() > texts_before) {
    text = said_->texts.size() - 1;
  }
  if (text != Said::kNoText) said_->binds.push_back({text, bind.body()});
}

void UnitReader::note_portal(std::string_view name, const Facts& facts) {
  if (!is_bound(name)) {
    bound_.push_back(name);
    if (index_) index_->bound.insert(name);
    if (!index_ && bound_.size() > kFewNames) index_names();
  }
  keep_portal(name, facts);
}

bool UnitReader::is_bound(std::string_view portal) const {
  if (index_) return index_->bound.contains(portal);
  return std::ranges::find(bound_, portal) != bound_.end();
}

// Where a named portal is already Bind and DECLARE fail: it stays what it was.
void UnitReader::keep_portal(std::string_view name, const Facts& facts) {
  const auto found = portals_.find(name);
  if (found == portals_.end()) {
    const bool room = portals_.size() < kPortalsMax && name.size() <= kPortalNameMax;
    if (room) portals_.emplace(name, facts);
    return;
  }
  Facts& kept = found->second;
  if (kept == facts) return;
  if (name.empty() || kept->only_reads()) {
    kept = facts;
  } else if (!facts->only_reads() && facts->written != kept->written) {
    kept = unknown();
  }
}

// Who fetches from a portal of a read asks nothing new.
void UnitReader::on_execute(const Piece& first) {
  const auto execute = view_execute(first.body());
  if (!execute) return on_unknown();
  if (is_bound(execute->portal)) return;
  const auto found = portals_.find(execute->portal);
  if (found == portals_.end()) return on_unknown();
  if (found->second->only_reads()) return;
  note_redefined(*found->second, {});
  run(found->second, {});
  note_hidden(*found->second);
}

// Adds what a message that names the statement may run, and returns it.
UnitReader::Facts UnitReader::on_statement(std::string_view name) {
  if (const Parsed* const parsed = parsed_as(name)) {  // its facts are counted, as they were then
    const Facts now = by_now(parsed->any);
    if (now != parsed->any) run(now, {});
    return now;
  }
  Facts all;
  state_.each_meaning(name, [&](const Facts& kept, std::string_view message) {
    if (!kept) {
      all = either(all, unknown());
      return on_unknown();
    }
    note_redefined(*kept, message);  // and not only where it was parsed
    const Facts facts = by_now(kept);
    all = either(all, facts);
    const auto parse = said_ != nullptr ? kept_parse(message) : std::nullopt;
    run(facts, parse ? parse->text : std::string_view());
    if (parse) said_->texts.back().types = parse->types;
    note_settings(*facts);
    note_cursors(*facts);
    note_hidden(*facts);
  });
  if (all) return all;
  names_unseen_ = true;
  on_unknown();
  return unknown();
}

// Of what passes by in pieces the parameters are not looked at.
void UnitReader::note_moments(const Piece& bind) {
  if (!facts_.writes || !facts_.deterministic || !bind.whole()) return;
  const auto texts = view_bind_texts(bind.body());
  if (!texts || std::ranges::none_of(*texts, passes_moment)) return;
  facts_.deterministic = facts_.drawn_by_definitions = false;
}

void UnitReader::run(Facts facts, std::string_view text) {
  facts_.add(*facts);
  if (said_ != nullptr) said_->texts.push_back({facts.get(), text});
  texts_.push_back(std::move(facts));
}

void UnitReader::on_unknown() {
  facts_.add(*unknown());
  note_hidden(*unknown());
}

// What the parse tree does not show: bodies of DO and CREATE FUNCTION, and text that was not read.
void UnitReader::note_code(const SqlFacts& facts, std::string_view text) {
  const bool runs = facts.pins.has(Pin::HiddenCode) || facts.pins.has(Pin::Unread);
  if (!runs && facts.strongest < SqlClass::Ddl) return;
  CodeSettings found = settings_in(text);
  std::ranges::move(found.names, std::back_inserter(custom_));
  sets_untold_ |= runs && found.told == CodeSettings::Told::NotAll;
}

void UnitReader::note_settings(const SqlFacts& facts) {
  sets_untold_ |= facts.pins.has(Pin::UntoldSet);
  for (const Step& step : facts.steps) {
    const auto* const session = std::get_if<SessionStep>(&step.what);
    if (session && session->what == SessionStep::What::Set &&
        session->name.find('.') != std::string::npos) {
      custom_.push_back(session->name);
    }
  }
}

}  // namespace crossfade::postgres
