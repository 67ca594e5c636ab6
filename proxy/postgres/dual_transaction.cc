// What a transaction on two sides writes, and what is suspected of it.
#include "proxy/postgres/dual_transaction.h"

#include <algorithm>
#include <utility>

#include "proxy/postgres/new_only.h"

namespace crossfade::postgres {

std::string key_of(const TableName& table) {
  return table.schema.empty() ? table.name : table.schema + '.' + table.name;
}

std::string_view bare_name(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? key : key.substr(dot + 1);
}

bool ends_block(std::string_view command) {
  return command == "COMMIT" || command == "PREPARE TRANSACTION";
}

namespace {
std::size_t commits_of(const ResultDigest& digest) {
  const auto commits = [](const QueryResult& result) {
    return result.ending == QueryResult::Ending::Complete && ends_block(result.command_text());
  };
  return static_cast<std::size_t>(std::ranges::count_if(digest.results(), commits));
}

bool says_savepoint(const UnitReader& reader) {
  const auto makes = [](const Step& step) {
    const auto* const transaction = std::get_if<TransactionStep>(&step.what);
    return transaction && transaction->what == TransactionStep::What::Savepoint;
  };
  return std::ranges::any_of(reader.texts(), [&](const UnitReader::Facts& text) {
    return std::ranges::any_of(text->steps, makes);
  });
}

std::size_t commits_said_by(const SqlFacts& facts) {
  const auto commits = [](const Step& step) {
    const auto* const transaction = std::get_if<TransactionStep>(&step.what);
    return transaction && (transaction->what == TransactionStep::What::Commit ||
                           transaction->what == TransactionStep::What::Prepare);
  };
  return static_cast<std::size_t>(std::ranges::count_if(facts.steps, commits));
}
}  // namespace

void DualTransaction::begin_unit(Frame unit_frame, std::uint64_t now_ns) {
  stage = Stage::First;
  frame = unit_frame;
  for_second = !sits_out();
  closed = copies = controls = changes_session = changes_block = hidden = writes = renames =
      is_query = commits_unseen = false;
  sources.clear();
  unit_tables_.clear();
  beside_.clear();
  rows_of_.clear();
  rows.begin_unit();
  sources_listed = true;
  unit_all_ = false;
  commits_said = 0;
  how = How::Exact;
  script.clear();
  messages.clear();
  held.clear();
  for (ResultDigest& digest : digests) digest.clear();
  first_failed = second_failed = turn = holds_on = false;
  leg_ns = now_ns;
  took_ns = 0;
}

// What may do something else there is run by the first side only, and so is COPY, whose data are
// not kept. Definitions are run by both, though what they draw is suspected.
void DualTransaction::add(const UnitReader& reader) {
  const UnitFacts& facts = reader.facts();
  const bool alone = facts.is_for_one();
  if (alone) for_second = false;
  controls |= facts.controls;
  commits_unseen |= facts.commits_unseen;
  copies |= facts.copies;
  changes_session |= facts.changes_session;
  changes_block |= facts.changes_block;
  savepoints |= facts.leaves == Leaves::Unsure || says_savepoint(reader);
  writes |= facts.writes;
  for (const UnitReader::Facts& text : reader.texts()) {
    hidden |= text->pins.has(Pin::HiddenCode);
    renames |= text->strongest >= SqlClass::Ddl && text->written.empty();
    commits_said += commits_said_by(*text);
  }
  how = weaker(how, facts.how);
  for (ResultDigest& digest : digests) digest.expect(how);
  note_returned(reader);
  if (!facts.writes) return;
  if (alone) rows.doubt_unit();
  note_tables(reader, alone);
  note_sources(reader);
}

// Rows of anything else that the unit runs could not be told from those that it has written.
void DualTransaction::note_returned(const UnitReader& reader) {
  const bool returning = std::ranges::all_of(reader.texts(), [](const UnitReader::Facts& text) {
    return text->returning && text->statements == 1 && text->written.size() == 1;
  });
  if (!returning || reader.facts().copies) {
    rows.expect_others();
  } else if (!reader.texts().empty()) {
    rows.expect_returned();
  }
}

void DualTransaction::note_tables(const UnitReader& reader, bool alone) {
  for (const UnitReader::Facts& text : reader.texts()) {
    for (const TableName& table : text->written) {
      std::string key = key_of(table);
      std::optional<Doubt>& doubt = tables_[key];
      if (alone || !reader.facts().is_alike(*text)) doubt = Doubt::Chance;
      if (text->reads_beside) beside_.names.push_back(key);
      if (text->strongest < SqlClass::Ddl) rows_of_.names.push_back(key);
      unit_tables_.push_back(std::move(key));
    }
    // Definitions never name all that they may change.
    const bool others = text->writes && !text->writes_listed && text->strongest < SqlClass::Ddl;
    beside_.others |= others && text->reads_beside;
    rows_of_.others |= others;
  }
  if (reader.facts().written_listed && tables_.size() <= kTablesMax) return;
  unit_all_ = true;
  const bool drawn = alone || (hidden && !reader.facts().deterministic);
  (drawn ? all_doubtful_ : all_written_) = true;
}

void DualTransaction::note_sources(const UnitReader& reader) {
  sources_listed &= reader.facts().read_listed;
  for (const UnitReader::Facts& text : reader.texts()) {
    for (const TableName& table : text->read) sources.emplace(bare_name(table.name));
  }
}

bool DualTransaction::reads_doubtful() const {
  if (all_doubtful_) return !sources.empty() || !sources_listed;
  return std::ranges::any_of(tables_, [&](const auto& table) {
    const auto& [key, doubt] = table;
    if (!doubt) return false;
    return !sources_listed || sources.contains(bare_name(key));
  });
}

void DualTransaction::begins_behind(const LoneWrites* lone) {
  if (!lone) return;
  unseen = lone->all();
  for (const UnitReader::Facts& text : lone->texts()) {
    for (const TableName& table : text->written) tables_.try_emplace(key_of(table));
  }
}

bool DualTransaction::has_doubts() const {
  return all_doubtful_ ||
         std::ranges::any_of(tables_, [](const auto& table) { return table.second.has_value(); });
}

void DualTransaction::spread() {
  rows.doubt_unit();
  for (const std::string& key : unit_tables_) {
    std::optional<Doubt>& doubt = tables_[key];
    if (!doubt || *doubt == Doubt::Order) doubt = Doubt::Spread;
  }
  all_doubtful_ |= unit_all_;
}

void DualTransaction::doubt_order() { doubt_order(beside_); }

void DualTransaction::doubt_unit_order() { doubt_order(rows_of_); }

void DualTransaction::doubt_order(const Tables& tables) {
  if (tables.names.empty() && !tables.others) return;
  rows.doubt_unit();
  for (const std::string& key : tables.names) {
    std::optional<Doubt>& doubt = tables_[key];
    if (!doubt) doubt = Doubt::Order;
  }
  all_doubtful_ |= tables.others;
}

void DualTransaction::keep(const ClientMessage& head, Mark mark, std::string_view bytes) {
  messages.push_back({head, mark, bytes.size()});
  script.append(bytes);
}

void DualTransaction::keep_more(std::string_view bytes) {
  if (messages.empty()) return;
  messages.back().size += bytes.size();
  script.append(bytes);
}

void DualTransaction::forget_script() {
  for_second = false;
  script.clear();
  messages.clear();
}

// What stands in one unit with a block's end, and behind it, commits by itself. Where in it a write
// stands is not asked.
bool DualTransaction::committed() const {
  if (commits_of(digests[0]) > 0 || digests[0].results_beyond() > 0) return true;
  const bool beyond_block = frame == Frame::Bare || (frame == Frame::Block && controls);
  const bool by_itself = frame == Frame::Block ? controls && writes : true;
  return (by_itself && status == Transaction::Idle && !first_failed) || (beyond_block && hidden);
}

bool DualTransaction::commit_was_none() const {
  return commits_of(digests[0]) < commits_said && digests[0].results_beyond() == 0;
}

bool DualTransaction::committed_unseen() const {
  if (frame != Frame::Bare || !commits_unseen) return false;
  return digests[0].results_beyond() > 0 ||
         std::ranges::any_of(digests[0].results(), [](const QueryResult& result) {
           return calls_code(result.command_text());
         });
}

DualTransaction::Doubts DualTransaction::doubts(Doubt of_what_is_known) const {
  Doubts found{.all = all_written_ || all_doubtful_, .tables = {}};
  for (const auto& [table, doubt] : tables_) {
    const bool may_be_equal = !doubt || *doubt == Doubt::Order;
    found.tables.push_back({{kDefaultDb, table}, may_be_equal ? of_what_is_known : *doubt, first});
  }
  // What was written before anybody looked, or was prepared elsewhere.
  found.all |= unseen || (frame == Frame::Bare && controls);
  return found;
}

DualTransaction::Doubts DualTransaction::doubts() const {
  if (out) return doubts(out->doubt);
  if (differs) return doubts(Doubt::Replies);
  Doubts found{.all = all_doubtful_, .tables = {}};
  for (const auto& [table, doubt] : tables_) {
    if (doubt) found.tables.push_back({{kDefaultDb, table}, *doubt, first});
  }
  return found;
}

// What the first side alone has run.
DualTransaction::Doubts DualTransaction::chances() const {
  Doubts found{.all = all_doubtful_, .tables = {}};
  for (const auto& [table, doubt] : tables_) {
    if (doubt == Doubt::Chance) found.tables.push_back({{kDefaultDb, table}, *doubt, first});
  }
  return found;
}

DualTransaction::Doubts DualTransaction::doubts_of(const LoneWrites& lone, Side first) {
  Doubts found{.all = lone.all(), .tables = {}};
  for (const UnitReader::Facts& text : lone.texts()) {
    for (const TableName& table : text->written) {
      found.tables.push_back({{kDefaultDb, key_of(table)}, Doubt::Unsent, first});
    }
  }
  return found;
}

DualTransaction::Doubts DualTransaction::doubts_of(const UnitReader& unit, Side first) {
  Doubts found{.all = !unit.facts().written_listed, .tables = {}};
  for (const UnitReader::Facts& text : unit.texts()) {
    for (const TableName& table : text->written) {
      found.tables.push_back({{kDefaultDb, key_of(table)}, Doubt::Chance, first});
    }
  }
  return found;
}

void DualTransaction::name_rows(Doubts& doubts, WrittenRows::Which which,
                                const SqlCatalog& catalog) const {
  if (doubts.all || doubts.tables.empty()) return;
  for (const auto& [name, table] : rows.names(which, catalog)) {
    const std::string key = key_of(table);
    const auto is_its = [&](const Suspect& one) { return one.at.key == key; };
    const auto suspect = std::ranges::find_if(doubts.tables, is_its);
    if (suspect == doubts.tables.end()) continue;
    doubts.rows.push_back({{kRowsDb, name}, suspect->doubt, suspect->right});
  }
}

void DualTransaction::forget_tables() {
  rows.forget();
  tables_.clear();
  unit_tables_.clear();
  beside_.clear();
  rows_of_.clear();
  all_written_ = all_doubtful_ = differs = unseen = false;
}

}  // namespace crossfade::postgres
