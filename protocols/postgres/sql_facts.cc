// Facts of SQL: their names, and what follows from them.
#include "protocols/postgres/sql_facts.h"

#include <algorithm>

namespace crossfade::postgres {

const char* name_of(SqlClass sql_class) {
  switch (sql_class) {
    case SqlClass::PureRead:
      return "pure_read";
    case SqlClass::VolatileRead:
      return "volatile_read";
    case SqlClass::SessionState:
      return "session_state";
    case SqlClass::Transaction:
      return "transaction";
    case SqlClass::Lock:
      return "lock";
    case SqlClass::Copy:
      return "copy";
    case SqlClass::Write:
      return "write";
    case SqlClass::NondeterministicWrite:
      return "nondeterministic_write";
    case SqlClass::Ddl:
      return "ddl";
    case SqlClass::Unknown:
      return "unknown";
  }
  return "unknown";
}

Kind kind_of(const SqlFacts& facts) {
  if (facts.writes) return Kind::Write;
  if (facts.only_reads() || facts.strongest == SqlClass::Copy) return Kind::Read;
  return Kind::Other;
}

SqlFacts unknown_sql() {
  SqlFacts facts;
  facts.strongest = SqlClass::Unknown;
  facts.writes = true;
  facts.deterministic = facts.drawn_by_definitions = false;
  facts.sided = facts.says_user = facts.commits_unseen = true;
  facts.writes_listed = facts.reads_listed = false;
  facts.statements = 1;
  facts.parameters.reset();
  facts.pins.add(Pin::Unread);
  return facts;
}

namespace {

void add_tables(std::vector<TableName>& tables, const std::vector<TableName>& others, bool& all) {
  for (const TableName& table : others) {
    if (std::ranges::find(tables, table) != tables.end()) continue;
    if (tables.size() == kTablesMax) {
      all = false;
      return;
    }
    tables.push_back(table);
  }
}

// `facts` have all the tables of `other` for which there was room.
void add_roles(SqlFacts& facts, const SqlFacts& other) {
  for (std::size_t i = 0; i < other.written.size(); ++i) {
    const auto found = std::ranges::find(facts.written, other.written[i]);
    if (found == facts.written.end()) continue;
    const auto at = static_cast<std::uint32_t>(found - facts.written.begin());
    facts.defined |= (other.defined >> i & 1u) << at;
    facts.changed |= (other.changed >> i & 1u) << at;
  }
}

const SessionStep* plain_execute(const SqlFacts& facts) {
  if (facts.statements != 1 || facts.steps.size() != 1) return nullptr;
  const auto* const step = std::get_if<SessionStep>(&facts.steps[0].what);
  return step != nullptr && step->what == SessionStep::What::Execute ? step : nullptr;
}

}  // namespace

void add_effects(SqlFacts& facts, const SqlFacts& other) {
  facts.forms.clear();
  facts.strongest = std::max(facts.strongest, other.strongest);
  facts.writes |= other.writes;
  facts.deterministic &= other.deterministic;
  facts.drawn_by_definitions &= other.drawn_by_definitions;
  facts.sided |= other.sided;
  facts.says_user |= other.says_user;
  facts.returning |= other.returning;
  facts.reads_beside |= other.reads_beside;
  facts.user_code |= other.user_code;
  facts.commits_unseen |= other.commits_unseen;
  facts.writes_listed &= other.writes_listed;
  facts.reads_listed &= other.reads_listed;
  facts.leans |= other.leans;
  facts.redefines = std::max(facts.redefines, other.redefines);
  facts.pins.add_all(other.pins);
  facts.locks.add_all(other.locks);
  add_tables(facts.read, other.read, facts.reads_listed);
  facts.beside_definitions |= other.beside_definitions;
  add_tables(facts.written, other.written, facts.writes_listed);
  add_roles(facts, other);
}

void settle_class(SqlFacts& facts) {
  if (facts.deterministic) return;
  if (facts.strongest == SqlClass::PureRead) facts.strongest = SqlClass::VolatileRead;
  if (facts.strongest == SqlClass::Write) facts.strongest = SqlClass::NondeterministicWrite;
}

SqlFacts executed(const SqlFacts& execute, const SqlFacts& prepared) {
  const SessionStep* const step = plain_execute(execute);
  if (step == nullptr || step->inner == nullptr) return execute;
  SqlFacts facts = prepared;
  facts.steps = execute.steps;
  facts.statements = 1;
  facts.parameters = 0;  // what it passes stands in its text
  add_effects(facts, *step->inner);
  facts.reads_beside |= facts.writes && step->inner->user_code;
  facts.drawn_by_definitions = facts.deterministic || !facts.writes;
  settle_class(facts);
  facts.forms = execute.forms;
  return facts;
}

}  // namespace crossfade::postgres
