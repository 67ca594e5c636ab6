// How a transaction on two sides ends: what may differ is in the ledger before the client is told
// of the commit. And what the ledger says to later reads.
#include <algorithm>
#include <utility>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"
#include "strategies/untold.h"

namespace crossfade::postgres {

namespace {
using Stage = DualTransaction::Stage;
using Frame = DualTransaction::Frame;
}  // namespace

// The first side has committed: what may differ by that is on disk before the client is told.
void PostgresSession::conclude_dual() {
  DualTransaction::Doubts doubts = dual_->doubts();
  name_rows(doubts, dual_->rows_in_doubt());
  const bool differs = dual_->differs;
  if (differs) counters().second[1].mismatched.add();
  const bool unanswered = dual_->out && dual_->out->doubt == Doubt::Unanswered;
  const bool sure = !unanswered && !dual_->first_failed && !dual_->committed_unseen();
  count_dual(dual_->on_first_only(), sure);
  dual_->forget_tables();
  if (!doubts.any() || note_doubts(*dual_->route, doubts, true)) return finish_dual_unit();
  dual_->stage = Stage::Disk;
}

// Rows are named for people: what is read where hangs on the tables.
void PostgresSession::name_rows(DualTransaction::Doubts& doubts, WrittenRows::Which which) {
  dual_->name_rows(doubts, which, interlay_.classifier(database_).catalog());
}

// What the first side has committed may be on new alone; so is what it was given before, as COPY
// is.
void PostgresSession::count_dual(bool on_first_only, bool sure) {
  if (dual_->first != Side::New) return;
  const bool earlier = new_only_.end_block();
  if (on_first_only || earlier) count(sure ? NewOnly::Counts::One : NewOnly::Counts::Unsure);
}

// True: nobody need wait for the disk.
bool PostgresSession::note_doubts(const InterlayRoute& route, const DualTransaction::Doubts& doubts,
                                  bool waits) {
  const LedgerDoor& ledger = loop().shared_writes().ledger;
  counters().suspected.add();
  if (!ledger.note) return true;
  std::function<void(bool)> durable;
  if (waits) {
    durable = [handle = handle_](bool) {
      handle->loop->post([handle] {
        if (handle->session) handle->session->on_noted();
      });
    };
  }
  if (doubts.all) {
    return ledger.note_all(route, kTablesUntold, durable);
  }
  std::vector<Suspect> unknown;
  const auto look_up = [&](const Suspect& suspect) {
    const bool known = ledger.renote && ledger.renote(route, suspect.at.db, suspect.at.key,
                                                      suspect.doubt, suspect.right);
    if (!known) unknown.push_back(suspect);
  };
  for (const Suspect& suspect : doubts.tables) {
    look_up(suspect);
    // Reads are looked up by the name alone.
    const std::string_view bare = bare_name(suspect.at.key);
    if (bare == suspect.at.key) continue;
    look_up({{suspect.at.db, std::string(bare)}, suspect.doubt, suspect.right});
  }
  for (const Suspect& row : doubts.rows) look_up(row);
  return unknown.empty() || ledger.note(route, std::move(unknown), durable);
}

void PostgresSession::on_noted() {
  begin_event();
  if (noting_ == Noting::UnderWay) {
    noting_ = Noting::Done;
  } else if (noting_ == Noting::Left) {
    noting_ = Noting::No;
  } else if (dual_ && dual_->stage == Stage::Disk) {
    finish_dual_unit();
  }
  end_event();
  loop().bury();
}

// What the unit was held back for is done.
void PostgresSession::finish_dual_unit() {
  release_held();
  std::string ready;
  append_ready(ready, dual_->status);
  client_.write_copy(ready);
  counters().client_out.add(ready.size());
  dual_->stage = Stage::Resting;
  if (std::exchange(dual_->defines, false)) ring_redefined();
  if (dual_->status == Transaction::Idle) end_dual();
}

// One that the second side had no part in, and was not to have, is not counted.
void PostgresSession::count_dual() {
  SecondCounters& counts = counters().second[1];
  if (!dual_->sits_out() && !dual_->second_ran) return;
  counts.eligible.add();
  if (dual_->sits_out() && !dual_->refused) {
    counts.drop(dual_->out->why);
  } else {
    counts.answered.add();
    if (dual_->refused) counts.errors.add();
  }
}

void PostgresSession::end_dual() {
  count_dual();
  Upstream& up = at(dual_->second());
  new_only_.end_block();
  const bool touched = dual_->session_touched && up.state() == Upstream::State::Open;
  dual_.reset();
  if (touched) {  // as it began
    std::string discard;
    append_query(discard, "DISCARD ALL");
    inject(up, discard, from_client::kQuery);
    up.stream().flush();
    const std::uint64_t ignored_through = up.holds.ignored_through;
    up.holds = Holdings();
    up.holds.ignored_through = ignored_through;
  }
}

// The session ends. What its servers have not committed they roll back; of what the first may have
// nobody will hear.
void PostgresSession::abandon_dual() {
  if (!dual_) return;
  const Stage stage = dual_->stage;
  const bool commits = stage == Stage::FirstCommit || stage == Stage::SecondCommit;
  const bool runs = stage == Stage::First || stage == Stage::Second;
  const bool may_have_committed =
      commits || dual_->second_alone || (runs && (dual_->frame == Frame::Bare || dual_->controls));
  if (may_have_committed) {
    auto doubts = dual_->doubts(Doubt::Unanswered);
    name_rows(doubts, WrittenRows::Which::All);
    count_dual(doubts.any(), false);
    if (doubts.any()) note_doubts(*dual_->route, doubts, false);
  }
  leave_out(Drop::Closed);
  count_dual();
  dual_.reset();
}

// --- what the authority alone runs as dual writes begin

void PostgresSession::note_lone() {
  if (!lone_) lone_ = std::make_unique<LoneWrites>();
  lone_->add(reader_);
}

// A session that nobody has read yet is read from here on.
void PostgresSession::note_unread() {
  if (watched_ || replication_ || phase_ != Phase::Ready || !newest_route()->strategy) return;
  const OwedReplies& owed = server().owed();
  if (!owed.owes() && !mid_unit_ && owed.transaction() == Transaction::Idle) return;
  if (!lone_) lone_ = std::make_unique<LoneWrites>();
  lone_->add_unread();
}

// What is under way ends on one server alone, and nobody holds its answer back. A block that does
// nothing now is suspected when it ends.
void PostgresSession::suspect_lone() {
  const InterlayRoute& route = *newest_route();
  const bool under_way = phase_ == Phase::Ready && (server().owed().owes() || mid_unit_);
  if (!lone_ || !lone_->any() || dual_ || !under_way || !route.authority()) return;
  note_doubts(route, DualTransaction::doubts_of(*lone_, current_), false);
}

// --- reads

// A table that the unit reads may be behind on the side that is not the authority. What it reads in
// a block is not known when that begins.
bool PostgresSession::is_suspected() const {
  const UnitFacts& facts = reader_.facts();
  const InterlayRoute& route = *newest_route();
  if (!route.authority() || !any_suspected()) return false;
  if (facts.opens_read_only || !facts.read_listed) return true;
  return std::ranges::any_of(reader_.texts(), [&](const UnitReader::Facts& text) {
    return std::ranges::any_of(
        text->read, [&](const TableName& table) { return is_suspected(route, table.name); });
  });
}

bool PostgresSession::any_suspected() const {
  const LedgerDoor& ledger = interlay_.loop().shared_writes().ledger;
  return ledger.any && ledger.any();
}

// Search paths are not followed: the name alone counts.
bool PostgresSession::is_suspected(const InterlayRoute& route, std::string_view table) const {
  const LedgerDoor& ledger = interlay_.loop().shared_writes().ledger;
  return ledger.suspects(route, kDefaultDb, bare_name(table));
}

// What is suspected by its name may have another one now.
bool PostgresSession::renames_suspects() const {
  return dual_->renames && (any_suspected() || dual_->has_doubts());
}

// What the unit that is under way writes is made from what may differ.
bool PostgresSession::is_made_from_suspects() const {
  if (!dual_->writes) return false;
  if (dual_->reads_doubtful()) return true;
  if (!any_suspected()) return false;
  return !dual_->sources_listed ||
         std::ranges::any_of(dual_->sources, [&](const std::string& table) {
           return is_suspected(*dual_->route, table);
         });
}

}  // namespace crossfade::postgres
