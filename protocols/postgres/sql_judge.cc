// Judging mentions: functions and operators by volatility, tables by what they hide.
#include "protocols/postgres/sql_judge.h"

#include <algorithm>
#include <utility>

#include "protocols/base/ascii.h"
#include "protocols/postgres/moment.h"
#include "protocols/postgres/sql_settings.h"

namespace crossfade::postgres {
namespace {

bool mentions(std::string_view text, std::string_view lower) {
  for (std::size_t at = 0; at + lower.size() <= text.size(); ++at) {
    if (same_letters(text.substr(at, lower.size()), lower)) return true;
  }
  return false;
}

// Types whose values are numbers of one server.
bool is_server_type(std::string_view name) {
  return (name.starts_with("reg") &&
          (name == "regclass" || name == "regproc" || name == "regprocedure" || name == "regoper" ||
           name == "regoperator" || name == "regtype" || name == "regrole" ||
           name == "regnamespace" || name == "regconfig" || name == "regdictionary" ||
           name == "regcollation")) ||
         name == "oid" || name == "xid" || name == "tid" || name == "pg_lsn";
}

// Of PostgreSQL's own. Those that the grammar has words for go by their inner names.
bool is_common_type(std::string_view name) {
  constexpr std::string_view kThose[] = {
      "bit",    "bool",    "box",       "bpchar",      "bytea",  "char",    "cidr",     "circle",
      "date",   "float4",  "float8",    "inet",        "int2",   "int4",    "int8",     "interval",
      "json",   "jsonb",   "jsonpath",  "line",        "lseg",   "macaddr", "macaddr8", "money",
      "name",   "numeric", "oid",       "path",        "point",  "polygon", "regclass", "regtype",
      "text",   "time",    "timestamp", "timestamptz", "timetz", "tsquery", "tsvector", "uuid",
      "varbit", "varchar", "xml"};
  return std::ranges::find(kThose, name) != std::end(kThose);
}

}  // namespace

bool is_system_column(std::string_view name) {
  return name == "tableoid" || name == "ctid" || name == "xmin" || name == "xmax" ||
         name == "cmin" || name == "cmax" || name == "oid";
}

void SqlJudge::begin_statement(std::string_view text) {
  text_ = text;
  current_ = SqlFacts{};
  reads_.clear();
  queries_.clear();
  targets_.clear();
  defaults_ = Defaults::Unsaid;
  finds_ = Finds::TheSame;
}

void SqlJudge::end_statement() {
  settle_reads();
  for (const Target& target : targets_) settle_target(target);
  current_.reads_beside &= current_.writes;
  const bool stale = current_.strongest != SqlClass::Ddl && redefined_.touches(current_);
  if (stale) hides_code();
  note_definition();
  redefined_.add(current_);
  const bool certain_read = current_.strongest <= SqlClass::VolatileRead && !current_.writes;
  if (certain_read && catalog_.has_volatile_casts()) hides_code();
  if (current_.writes && finds_ == Finds::OneOfMany) is_drawn();
  if (current_.writes && current_.strongest != SqlClass::Copy) at_least(SqlClass::Write);
  settle_class(current_);
  const bool drawn = current_.writes && !current_.deterministic;
  current_.drawn_by_definitions = !drawn || current_.strongest == SqlClass::Ddl;
  // CREATE TABLE pg_temp.t, SET search_path = pg_temp: wherever it stands.
  const bool may_make = current_.strongest > SqlClass::VolatileRead;
  if (may_make && mentions(text_, "pg_temp")) current_.pins.add(Pin::TempObject);
  // CREATE TABLE AS takes the parameters in its text, CREATE VIEW takes none.
  if (current_.strongest >= SqlClass::Ddl) hides_parameters();
  add_effects(total_, current_);
  total_.sorted = current_.sorted;
  total_.parameters = current_.parameters;  // what is prepared is a single statement
  ++total_.statements;
}

void SqlJudge::note_definition() {
  const bool defines = current_.strongest == SqlClass::Ddl;
  std::uint32_t& role = defines ? current_.defined : current_.changed;
  for (std::size_t i = 0; i < current_.written.size(); ++i) role |= 1u << i;
  current_.beside_definitions = !defines && current_.strongest != SqlClass::Transaction;
}

SqlFacts SqlJudge::take() {
  if (total_.statements != 1) total_.sorted = false;
  if (total_.steps.size() > kStepsMax) return unknown_sql();
  return std::move(total_);
}

void SqlJudge::takes_parameter(int number) {
  auto& highest = current_.parameters;
  if (highest && number > 0) highest = std::max(*highest, static_cast<std::uint32_t>(number));
}

void SqlJudge::calls(const SqlCall& call) {
  const FunctionEntry* const entry = catalog_.function(call.function.schema, call.function.name);
  const bool ordered =
      hangs_on_order(call.function.name) || (entry != nullptr && entry->order == Order::Counts);
  if (ordered && !call.sorts_all) is_drawn_in_writes();
  if (entry == nullptr) {
    at_least(SqlClass::Unknown);
    hides_code();
    return;
  }
  if (entry->author == Author::User) leans();
  if (entry->author != Author::User) {
    if (call.function.name == "current_setting" && !is_session_setting(call.first)) is_sided();
    if (const auto nature = nature_of(call.function.name)) {
      apply(*nature, call);
      return;
    }
  }
  if (entry->sets == Sets::Untold) pins(Pin::UntoldSet);
  if (entry->author == Author::User) reads_unseen();
  if (entry->author == Author::User && entry->volatility != Volatility::Immutable) runs_user_code();
  if (entry->volatility == Volatility::Drawn) is_drawn();
  if (entry->volatility != Volatility::Volatile) return;
  if (entry->author == Author::System) {
    writes_unseen();
    is_sided();
    return;
  }
  hides_code();
}

void SqlJudge::apply(FunctionNature nature, const SqlCall& call) {
  switch (nature) {
    case FunctionNature::Clock:
      // age(later, earlier) looks at no clock.
      if (call.function.name == "age" && call.arguments == 2) return;
      is_drawn();
      return;
    case FunctionNature::Chance:
      is_drawn();
      return;
    case FunctionNature::Sided:
      is_sided();
      return;
    case FunctionNature::Sequence:
      writes();
      is_drawn();
      return;
    case FunctionNature::Notifies:
      writes();
      return;
    case FunctionNature::Settings:
      set_config(call);
      return;
    case FunctionNature::Seed:
      at_least(SqlClass::SessionState);
      pins(Pin::UntoldSet);
      return;
    case FunctionNature::Opaque:
      at_least(SqlClass::Unknown);
      hides_code();
      return;
    case FunctionNature::LockSession:
      locks(SqlLock::AdvisorySession);
      pins(Pin::SessionLock);
      return;
    case FunctionNature::LockTransaction:
      locks(SqlLock::AdvisoryTransaction);
      return;
    case FunctionNature::Unlock:
      locks(SqlLock::AdvisoryRelease);
      return;
  }
}

void SqlJudge::set_config(const SqlCall& call) {
  at_least(SqlClass::SessionState);
  if (!call.last_is_true) pins(call.first.empty() ? Pin::UntoldSet : Pin::UnreplayableSet);
  step(SessionStep{
      .what = SessionStep::What::Set,
      .scope = call.last_is_true ? SessionStep::Scope::Transaction : SessionStep::Scope::Session,
      .name = std::string(call.first),
      .text = {},  // of all that the statement does this is only a part
      .inner = nullptr});
}

void SqlJudge::uses_operator(const SqlName& name) {
  const FunctionEntry* const entry = catalog_.operation(name.schema, name.name);
  if (entry == nullptr) at_least(SqlClass::Unknown);
  if (entry != nullptr && entry->author == Author::User) {
    leans();
    reads_unseen();
    if (entry->volatility != Volatility::Immutable) runs_user_code();
  }
  if (entry == nullptr || entry->volatility == Volatility::Volatile) hides_code();
}

void SqlJudge::casts_to(std::string_view type) {
  if (is_server_type(type)) is_sided();
  if (!is_common_type(type)) leans();
  if (catalog_.is_volatile_type(type)) hides_code();
  if (!catalog_.is_read_for(type)) return;
  leans();
  reads_unseen();
  runs_user_code();
}

void SqlJudge::selects_field(std::string_view name) {
  if (is_system_column(name)) is_sided();
  if (catalog_.is_volatile_field(name)) hides_code();
}

void SqlJudge::holds_text(std::string_view text) {
  if (is_moment(text) || passes_moment(text)) is_drawn();
}

void SqlJudge::asks_default() { defaults_ = Defaults::Asked; }

void SqlJudge::inserts(const SqlName& table, std::vector<std::string_view> columns) {
  targets_.push_back({table, Target::Verb::Insert, std::move(columns)});
  writes();
}

void SqlJudge::changes(const SqlName& table) {
  targets_.push_back({table, Target::Verb::Change, {}});
  writes();
}

void SqlJudge::defines(const SqlName& table) {
  lists(current_.written, table, current_.writes_listed);
}

void SqlJudge::locks(SqlLock lock) {
  current_.locks.add(lock);
  at_least(SqlClass::Lock);
}

void SqlJudge::is_sided() {
  current_.sided = true;
  current_.deterministic = false;
}

void SqlJudge::writes_unseen() {
  current_.writes = true;
  current_.writes_listed = false;
}

void SqlJudge::at_least(SqlClass floor) {
  current_.strongest = std::max(current_.strongest, floor);
  if (floor != SqlClass::Unknown) return;
  reads_unseen();
  writes_unseen();
  is_drawn();
}

void SqlJudge::hides_code() {
  pins(Pin::HiddenCode);
  reads_unseen();
  writes_unseen();
  is_drawn();
}

// It may read any table.
void SqlJudge::runs_user_code() { current_.user_code = current_.reads_beside = true; }
bool SqlJudge::says(std::string_view lower) const { return mentions(text_, lower); }

void SqlJudge::is_unread() {
  at_least(SqlClass::Unknown);
  pins(Pin::Unread);
  is_sided();
}

void SqlJudge::step(decltype(Step::what) what) {
  // One too many says that there were too many.
  if (total_.steps.size() > kStepsMax) return;
  total_.steps.push_back({total_.statements, std::move(what)});
}

bool SqlJudge::is_query(const SqlName& name) const {
  return name.schema.empty() && std::ranges::binary_search(queries_, name.name);
}

void SqlJudge::settle_reads() {
  std::ranges::sort(queries_);
  for (const auto& [table, rows] : reads_) {
    const RelationEntry* const entry = catalog_.relation(table.schema, table.name);
    if (entry == nullptr && is_query(table)) continue;
    current_.reads_beside |= rows == Rows::Free || entry == nullptr || entry->composed;
    lists(current_.read, table, current_.reads_listed);
    if (entry == nullptr) {
      at_least(SqlClass::Unknown);
      continue;
    }
    if (entry->sided) is_sided();
    if (entry->says_user) says_user();
    if (entry->composed) {
      leans();
      reads_unseen();
    }
    if (entry->reading != SqlClass::PureRead) at_least(entry->reading);
    if (entry->reading == SqlClass::VolatileRead) is_drawn();
  }
}

void SqlJudge::settle_target(const Target& target) {
  lists(current_.written, target.table, current_.writes_listed);
  const RelationEntry* const entry = catalog_.relation(target.table.schema, target.table.name);
  if (entry == nullptr) {
    writes_unseen();
    is_drawn();
    return;
  }
  if (entry->says_user) says_user();
  if (entry->composed || entry->hidden != Hidden::Nothing) leans();
  if (entry->hidden != Hidden::Nothing) writes_unseen();
  if (entry->hidden == Hidden::Code) is_drawn();
  if (entry->sided) hides_code();  // UPDATE pg_settings is a SET
  draws_defaults(target, *entry);
}

void SqlJudge::draws_defaults(const Target& target, const RelationEntry& entry) {
  if (asks_any(target, entry.drawn)) is_drawn();
  if (asks_any(target, entry.users)) says_user();
  if (!asks_any(target, entry.reading_defaults)) return;
  leans();
  reads_unseen();
  runs_user_code();
}

// The write may leave one of these to its default.
bool SqlJudge::asks_any(const Target& target, const std::vector<std::string>& columns) const {
  if (columns.empty()) return false;
  if (defaults_ == Defaults::Asked) return true;
  if (target.verb == Target::Verb::Change) return false;
  return std::ranges::any_of(columns, [&](const std::string& column) {
    return std::ranges::find(target.columns, column) == target.columns.end();
  });
}

void SqlJudge::lists(std::vector<TableName>& tables, const SqlName& table, bool& all) {
  const auto is_table = [&](const TableName& known) {
    return known.name == table.name && known.schema == table.schema;
  };
  if (std::ranges::any_of(tables, is_table)) return;
  if (tables.size() == kTablesMax) {
    all = false;
    return;
  }
  tables.push_back({std::string(table.schema), std::string(table.name)});
}

}  // namespace crossfade::postgres
