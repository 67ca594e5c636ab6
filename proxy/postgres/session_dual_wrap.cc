// Blocks that are ours, around what is one transaction on one server by itself: see
// dual_transaction.h.
//
// A server may fail what is ours as well as what is the client's: whoever cancels there (an
// operator, a time limit) hits whatever it runs just then. The client, which has begun no block, is
// told of at most one error, that it is in no block, and is in none; and what may be on one side
// only is noted.
//
//   BEGIN fails, no block      the unit commits by itself there: the second side is left out
//   BEGIN fails, in its block  the unit is failed by the server, and is told the error of BEGIN
//   COMMIT fails, ROLLBACK     asked for again, until the server is in no block
//   COMMIT that was answered   has committed, whatever comes behind that
//   BEGIN on the second side   it may have committed by itself, whatever becomes of the first
#include <utility>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/builder.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

namespace {
using Stage = DualTransaction::Stage;
using Frame = DualTransaction::Frame;

// The client has begun no block: while one side waits for the other it is not the client that
// idles.
constexpr std::string_view kBegin = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0";

// Who is cancelled that often is cancelled for good.
constexpr unsigned kRollbacksMax = 1'000;

std::string query_of(std::string_view text) {
  std::string query;
  append_query(query, text);
  return query;
}

// More than that it commits can be told of a unit only by its text.
bool can_be_wrapped(const UnitFacts& facts) {
  return facts.strongest == SqlClass::Write && facts.deterministic && !facts.copies &&
         !facts.controls && !facts.changes_session && !facts.minds_blocks &&
         facts.leaves == Leaves::AsItWas;
}
}  // namespace

// What is one transaction on one server by itself is made one on both.
DualTransaction::Frame PostgresSession::frame_of(const Unit& unit) const {
  if (block_ != Block::None) return Frame::Block;
  const bool wrapped = !dual_->sits_out() && unit.end == Unit::End::Closed;
  return wrapped && can_be_wrapped(reader_.facts()) ? Frame::Wrapped : Frame::Bare;
}

// Of the first side's block: the second's is in its script.
void PostgresSession::wrap() {
  for (Upstream& up : upstreams_) {
    const std::uint64_t id = inject(up, query_of(kBegin), from_client::kQuery);
    if (&up == &server()) dual_->ours_id = id;
    up.holds.unnamed = 0;  // a Query drops it
  }
}

// To be answered at once: nothing is sent behind it.
std::uint64_t PostgresSession::ask_ours(Upstream& up, std::string_view text, Mark mark) {
  const std::string query = query_of(text);
  const std::uint64_t id = up.owed().sent({from_client::kQuery, '\0', query.size()}, mark);
  up.holds.unnamed = 0;
  up.stream().write_copy(query);
  up.stream().flush();
  counters().server_out.add(query.size());
  return id;
}

// --- what the first side says of what is ours

bool PostgresSession::is_ours(const Upstream& up, std::uint64_t id) const {
  return dual_under_way() && &up == &server() && id != 0 && id == dual_->ours_id;
}

// Of BEGIN or ROLLBACK.
Goes PostgresSession::on_ours(char type, std::string_view body) {
  const bool begins = dual_->stage == Stage::First;
  if (begins && type == from_server::kErrorResponse) {
    MessageBuilder(dual_->why_unwrapped, type).bytes(body);
  } else if (type == from_server::kReadyForQuery) {
    const Transaction status = view_ready(body).value_or(Transaction::Failed);
    if (!begins) {
      dual_->status = status;
      dual_->turn = true;
    } else if (status == Transaction::Idle) {
      run_unwrapped();
    }
  }
  return Goes::Nowhere;
}

// The block that was ours has not begun, and the unit is on its way.
void PostgresSession::run_unwrapped() {
  dual_->why_unwrapped.clear();
  dual_->frame = Frame::Bare;
  leave_out(Drop::StateRefused, Doubt::Outcome);
}

// True: the client has been told why the server fails what it has sent.
bool PostgresSession::says_why_unwrapped() {
  if (dual_->why_unwrapped.empty()) return false;
  release_held();
  client_.write_copy(dual_->why_unwrapped);
  counters().client_out.add(dual_->why_unwrapped.size());
  dual_->why_unwrapped.clear();
  return true;
}

Goes PostgresSession::on_first_commit(char type, std::string_view body) {
  if (type == from_server::kCommandComplete) {
    dual_->commit_told |= ends_block(body.substr(0, body.find('\0')));
  }
  if (type != from_server::kErrorResponse || dual_->commit_told) return Goes::Nowhere;
  dual_->first_failed = true;
  return Goes::Client;
}

// --- its end

void PostgresSession::commit_first() {
  ask_ours(server(), "COMMIT", Mark::Forward);
  dual_->stage = Stage::FirstCommit;
}

void PostgresSession::first_committed() {
  if (dual_->first_failed) {
    // What it says of itself stays, but not that it is complete.
    const bool told = dual_->held.starts_with(from_server::kCommandComplete);
    if (told) dual_->held.erase(0, whole_size(dual_->held, kServerSmallMax));
    roll_second_back();
    return roll_first_back();
  }
  if (dual_->sits_out()) return conclude_dual();
  ask_ours(at(dual_->second()), "COMMIT", Mark::Compare);
  dual_->stage = Stage::SecondCommit;
  dual_->leg_ns = now_ns_;
}

void PostgresSession::second_committed() {
  if (dual_->second_failed) {
    dual_->refused = true;
    leave_out(Drop::StateRefused, Doubt::Outcome);
    roll_second_back();
  }
  conclude_dual();
}

// The unit has failed, or what was to commit it: the client is told when that is over.
void PostgresSession::roll_first_back() {
  if (dual_->status == Transaction::Idle) return first_rolled_back();
  if (++dual_->rollbacks > kRollbacksMax) return lose_server("it does not end a transaction");
  dual_->stage = Stage::FirstRollback;
  dual_->ours_id = ask_ours(server(), "ROLLBACK", Mark::Skip);
}

void PostgresSession::first_rolled_back() {
  if (dual_->status != Transaction::Idle) return roll_first_back();
  if (!dual_->second_alone) return finish_dual_unit();
  if (dual_->second() == Side::New) count(NewOnly::Counts::Unsure);
  const DualTransaction::Doubts doubts = dual_->doubts();
  if (!doubts.any() || note_doubts(*dual_->route, doubts, true)) return finish_dual_unit();
  dual_->stage = Stage::Disk;
}

}  // namespace crossfade::postgres
