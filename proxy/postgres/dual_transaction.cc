// What a transaction on two sides writes, and what is suspected of it.
#include "proxy/postgres/dual_transaction.h"

#include <algorithm>
#include <utility>

namespace crossfade::postgres {

std::string key_of(const TableName& table) {
  return table.schema.empty() ? table.name : table.schema + '.' + table.name;
}

namespace {
bool ends_block(std::string_view command) {
  return command == "COMMIT" || command == "PREPARE TRANSACTION";
}

std::size_t commits_of(const ResultDigest& digest) {
  const auto commits = [](const QueryResult& result) {
    return result.ending == QueryResult::Ending::Complete && ends_block(result.command_text());
  };
  return static_cast<std::size_t>(std::ranges::count_if(digest.results(), commits));
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
  closed = copies = controls = changes_session = hidden = is_query = false;
  commits_said = 0;
  how = How::Exact;
  script.clear();
  messages.clear();
  held.clear();
  for (ResultDigest& digest : digests) digest.clear();
  first_failed = second_failed = turn = false;
  leg_ns = now_ns;
  took_ns = 0;
}

// What may do something else there is run by the first side only, and so is COPY, whose data are
// not kept.
void DualTransaction::add(const UnitReader& reader) {
  const UnitFacts& facts = reader.facts();
  const bool alone = facts.copies || (facts.writes && !facts.deterministic);
  if (alone) for_second = false;
  controls |= facts.controls;
  copies |= facts.copies;
  changes_session |= facts.changes_session;
  for (const UnitReader::Facts& text : reader.texts()) {
    hidden |= text->pins.has(Pin::HiddenCode);
    commits_said += commits_said_by(*text);
  }
  how = weaker(how, facts.how);
  for (ResultDigest& digest : digests) digest.expect(how);
  if (facts.writes) note_tables(reader, alone);
}

void DualTransaction::note_tables(const UnitReader& reader, bool alone) {
  for (const UnitReader::Facts& text : reader.texts()) {
    for (const TableName& table : text->written) tables_[key_of(table)] |= alone;
  }
  if (reader.facts().written_listed && tables_.size() <= kTablesMax) return;
  (alone ? all_alone_ : all_written_) = true;
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

bool DualTransaction::committed() const {
  if (commits_of(digests[0]) > 0 || digests[0].results_beyond() > 0) return true;
  const bool by_itself = frame != Frame::Block && status == Transaction::Idle && !first_failed;
  return by_itself || (frame == Frame::Bare && hidden);
}

bool DualTransaction::commit_was_none() const {
  return commits_of(digests[0]) < commits_said && digests[0].results_beyond() == 0;
}

DualTransaction::Doubts DualTransaction::doubts(Doubt of_what_is_known) const {
  Doubts found{.all = all_written_ || all_alone_, .tables = {}};
  for (const auto& [table, alone] : tables_) {
    found.tables.push_back({{kDefaultDb, table}, alone ? Doubt::Chance : of_what_is_known, first});
  }
  // What was written before anybody looked, or was prepared elsewhere.
  found.all |= unseen || (frame == Frame::Bare && controls);
  return found;
}

DualTransaction::Doubts DualTransaction::doubts() const {
  if (out) return doubts(out->doubt);
  return differs ? doubts(Doubt::Replies) : chances();
}

// What the first side alone has run.
DualTransaction::Doubts DualTransaction::chances() const {
  Doubts found{.all = all_alone_, .tables = {}};
  for (const auto& [table, alone] : tables_) {
    if (alone) found.tables.push_back({{kDefaultDb, table}, Doubt::Chance, first});
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

void DualTransaction::forget_tables() {
  tables_.clear();
  all_written_ = all_alone_ = differs = unseen = false;
}

}  // namespace crossfade::postgres
