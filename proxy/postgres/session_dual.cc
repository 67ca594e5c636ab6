// Transactions that are run on both sides in lock-step: see dual_transaction.h for the order.
//
// The client is answered by the first side. Of its unit's answers only ReadyForQuery is kept back,
// until the second side has followed, or has been left out of the transaction: then what the
// transaction has written is in the ledger, on disk, before. Nobody waits longer for the second
// side than it may take.
#include <utility>
#include <variant>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

namespace {
using Stage = DualTransaction::Stage;
using Frame = DualTransaction::Frame;

}  // namespace

// --- before a unit

// What belongs to the unit that is under way goes on, everything else waits.
bool PostgresSession::waits_for_dual(const Unit& unit) const {
  if (!dual_under_way()) return false;
  if (unit.what == Unit::What::Farewell) return !dual_->may_get_more();
  if (dual_->stage != Stage::First) return true;
  const bool ended = dual_->closed && !dual_->copies && !server().owed().awaits_sync();
  return unit.what != Unit::What::Data && ended;
}

bool PostgresSession::keeps_for_second(const Upstream& up) const {
  return dual_ && dual_->stage == Stage::First && dual_->for_second &&
         up.side() == dual_->second() && &up != &server();
}

// The server that is talked to runs it; whether the other one does, too.
PostgresSession::Choice PostgresSession::choose_dual(Choice choice, const Unit& unit) {
  const UnitFacts& facts = reader_.facts();
  const bool free = block_ == Block::None;
  const bool both = dual_ || (newest_route()->authority() && !reads_there_);
  const bool whole = unit.end == Unit::End::Closed;  // else it may yet write
  const bool outside =
      free && whole && !facts.writes && !facts.controls && facts.leaves == Leaves::AsItWas;
  if (!both || (facts.only_reads && whole) || outside) return choice;
  const bool follows = !facts.is_for_one();
  if (unit.end == Unit::End::Unfinished && follows) return {Choice::Do::Await};
  if (server().owed().owes()) {
    wait_ = Wait::Answers;
    return {Choice::Do::Wait};
  }
  if (server().owed().awaits_sync()) return choice;  // it is discarded there
  if (facts.copies && !facts.controls && facts.leaves == Leaves::AsItWas) {
    return choose_copy(choice);
  }
  if (!dual_) {
    dual_ = std::make_unique<DualTransaction>(newest_route(), current_, now_ns_);
    if (!free) dual_->begins_behind(lone_.get());
    const bool open = free && !facts.controls && !whole;
    if (open) dual_->leave_out(Drop::Oversize, Doubt::Unsent);
    if (current_ != write_side()) dual_->leave_out(Drop::StateRefused, Doubt::Unsent);
  }
  // Nothing of ours may be put between its messages.
  const bool bare = !server().owed().settled();
  const bool begun = dual_->second_begun || dual_->hopeless;
  if (bare || (!free && !begun)) dual_->leave_out(Drop::StateRefused, Doubt::Unsent);
  if (!(free && !follows) && !begun && !second_is_ready()) return {Choice::Do::Wait};
  choice.dual = true;
  choice.trial = false;
  return choice;
}

// Its data are not kept: it is run by the server that is talked to, and noted before.
PostgresSession::Choice PostgresSession::choose_copy(Choice choice) {
  if (!reader_.facts().writes) return choice;
  if (noting_ == Noting::UnderWay || noting_ == Noting::Left) {
    wait_ = Wait::Disk;
    return {Choice::Do::Wait};
  }
  if (std::exchange(noting_, Noting::No) == Noting::Done) return choice;
  const InterlayRoute& route = dual_ ? *dual_->route : *newest_route();
  if (note_doubts(route, DualTransaction::doubts_of(reader_, current_), true)) return choice;
  noting_ = Noting::UnderWay;
  wait_ = Wait::Disk;
  return {Choice::Do::Wait};
}

// The unit is not sent as what was noted of it.
void PostgresSession::leave_note() {
  if (noting_ == Noting::UnderWay) noting_ = Noting::Left;
  if (noting_ == Noting::Done) noting_ = Noting::No;
}

// True: it is, or is left out of the transaction.
bool PostgresSession::second_is_ready() {
  if (dual_->sits_out()) return true;
  Upstream& up = at(dual_->second());
  wanted_side_ = dual_->second();
  if (up.state() == Upstream::State::Open && may_be_hit(up)) up.close();
  if (late_to_answer(dual_->since_ns)) {
    interlay_.failed(dual_->second(), Interlay::Failure::Answer, now_ns_);
    return leave_out(Drop::Timeout);
  }
  wait_ = Wait::Entry;
  switch (up.state()) {
    case Upstream::State::Idle:
      if (now_ns_ < alone_until_ns_ || !enter(dual_->second())) return leave_out(Drop::SideDown);
      return false;
    case Upstream::State::Connecting:
    case Upstream::State::Entering:
      return false;
    case Upstream::State::Open:
      break;
  }
  const bool tried = std::exchange(dual_->asked, true);
  if (!tried && !interlay_.try_now(dual_->second(), Interlay::Use::Dispensable, now_ns_)) {
    return leave_out(Drop::SideDown);
  }
  if (up.owed().owes() && up.holds.giving_id == 0) return false;
  return second_holds_all(up);
}

// What the session holds on the first side is given to the second.
bool PostgresSession::second_holds_all(Upstream& up) {
  if (up.holds.refused) return leave_out(Drop::StateRefused);
  if (up.holds.version == version_) return true;
  wait_ = Wait::Telling;
  if (asking_) return false;
  if (inventory_version_ != version_) {
    ask_inventory();
    return false;
  }
  if (tied()) return leave_out(Drop::StateRefused);
  if (up.holds.giving_id == 0 && !begin_giving(up)) return true;
  wait_ = Wait::Giving;
  return false;
}

bool PostgresSession::leave_out(Drop why, Doubt doubt) {
  dual_->leave_out(why, doubt);
  return true;
}

void PostgresSession::begin_dual_unit(std::string_view bytes, const Unit& unit) {
  dual_->begin_unit(frame_of(unit), now_ns_);
  dual_->is_query = bytes[0] == from_client::kQuery;
  dual_->add(reader_);
  loop().mark_busy(*this);
  if (dual_->frame == Frame::Wrapped) wrap();
}

// Of the message that is kept next: until the script is sent the second side gets nothing else.
std::uint64_t PostgresSession::next_kept_id() {
  return at(dual_->second()).owed().last_id() + dual_->messages.size() + 1;
}

// The first piece of a message that goes to the first side, before that is noted.
void PostgresSession::keep_for_second(const Piece& piece) {
  Upstream& up = at(dual_->second());
  if (!keeps_for_second(up)) return;
  bring_for(up, piece);
  note_statement(up, next_kept_id(), piece);
  const bool whole = piece.whole() && has_text(piece.type);
  dual_->keep(client_message_of(piece), Mark::Compare,
              whole ? in_form_of(up.side(), piece.bytes) : piece.bytes);
}

// A message of the client that may tell which rows are written. Text that servers do not read in
// the standard way tells none.
void PostgresSession::note_rows(const Piece& piece) {
  if (!dual_->writes || reading_ != SqlReading::Standard) return;
  std::string_view parse;
  if (const auto bind = piece.type == from_client::kBind ? view_bind(piece.body()) : std::nullopt) {
    const auto meaning = state_.meaning(bind->statement);
    if (meaning && meaning->facts && meaning->facts->writes) parse = meaning->message;
  }
  dual_->rows.on_request(piece, parse);
}

// --- answers

Goes PostgresSession::on_first_answer(char type, std::string_view body) {
  const bool ours = dual_->stage == Stage::FirstCommit || dual_->stage == Stage::FirstRollback;
  if (dual_->stage != Stage::First && !ours) return Goes::Held;
  if (type == from_server::kReadyForQuery) {
    dual_->status = view_ready(body).value_or(Transaction::Failed);
    dual_->turn = true;
    return Goes::Nowhere;
  }
  if (dual_->stage == Stage::FirstCommit) return on_first_commit(type, body);
  if (type == from_server::kErrorResponse) {
    dual_->first_failed = true;
    if (says_why_unwrapped()) return Goes::Nowhere;
  }
  // The client is to send something for that.
  const bool asks = type == from_server::kCopyInResponse || type == from_server::kCopyBothResponse;
  if (dual_->holds_on && !asks) return Goes::Held;
  dual_->holds_on = false;
  release_held();
  if (type != from_server::kCommandComplete) return Goes::Client;
  // Who has asked for answers before the end of the unit may wait for them before sending it.
  const std::string_view tag = body.substr(0, body.find('\0'));
  dual_->holds_on =
      dual_->closed && !dual_->copies && (ends_block(tag) || tag == "COMMIT PREPARED");
  // In a segment only what ends transactions itself (CALL, VACUUM) has committed before its end.
  const bool whole = dual_->closed && !dual_->copies;
  const bool alone = dual_->is_query ? dual_->frame != Frame::Block || dual_->controls
                                     : dual_->frame == Frame::Bare && whole;
  return dual_->holds_on || alone ? Goes::Held : Goes::Client;
}

// What is longer is not kept: the client learns of the commit before all that follows from it.
void PostgresSession::hold(std::string_view bytes) {
  if (dual_->held.size() + bytes.size() <= settings().segment_max) {
    dual_->held.append(bytes);
    return;
  }
  dual_->holds_on = false;
  release_held();
  send(bytes);
}

void PostgresSession::release_held() {
  if (dual_->held.empty()) return;
  client_.write_copy(dual_->held);
  counters().client_out.add(dual_->held.size());
  dual_->held.clear();
}

Goes PostgresSession::on_second_answer(Upstream& up, const Answer& answer, char type,
                                       std::string_view body) {
  if (!dual_ || up.side() != dual_->second() || !answer.id) return Goes::Nowhere;
  if (type == from_server::kErrorResponse) dual_->second_failed = true;
  if (type == from_server::kReadyForQuery) {
    dual_->second_status = view_ready(body).value_or(Transaction::Failed);
    dual_->turn = true;
  }
  return Goes::Compared;
}

// An error to a message of ours.
void PostgresSession::on_second_skipped(Upstream& up) {
  const bool among_its_unit =
      dual_ && dual_->stage == Stage::Second && up.side() == dual_->second();
  if (among_its_unit) {
    dual_->second_failed = true;
  } else {
    up.close();  // what it holds is not known any more
  }
}

void PostgresSession::look_at(Upstream& up, Goes goes, const Piece& piece) {
  const bool first = &up == &server();
  if (first && dual_->stage == Stage::First && (goes != Goes::Nowhere || dual_->turn)) {
    dual_->digests[0].on_piece(piece);
    dual_->rows.on_piece(piece);
  } else if (goes == Goes::Compared && dual_->stage == Stage::Second) {
    dual_->digests[1].on_piece(piece);
  }
  if (std::exchange(dual_->turn, false)) step_dual();
}

void PostgresSession::look_at_rows(Upstream& up, Goes goes, char type, std::string_view rows) {
  if (goes == Goes::Nowhere) return;
  const bool first = &up == &server();
  dual_->digests[first ? 0 : 1].on_rows(type, rows);
  if (first) dual_->rows.on_rows(type, rows);
}

// --- from one stage to the next

void PostgresSession::step_dual() {
  switch (dual_->stage) {
    case Stage::First:
      return first_answered();
    case Stage::Second:
      return second_answered();
    case Stage::FirstCommit:
      return first_committed();
    case Stage::FirstRollback:
      return first_rolled_back();
    case Stage::SecondCommit:
      return second_committed();
    case Stage::Resting:
    case Stage::Disk:
      return;
  }
}

void PostgresSession::first_answered() {
  dual_->took_ns = now_ns_ - dual_->leg_ns;
  // By now it has read it.
  if (is_made_from_suspects() || renames_suspects()) dual_->spread();
  dual_->doubt_order();
  if (dual_->frame == Frame::Wrapped && dual_->status == Transaction::Idle) {
    dual_->frame = Frame::Bare;  // the block that was ours has not begun, or has ended
    leave_out(Drop::StateRefused, Doubt::Outcome);
  }
  const bool lost = at(dual_->second()).state() != Upstream::State::Open;
  if (lost && dual_->for_second && !dual_->first_failed) leave_out(Drop::ConnectionLost);
  const bool follows = !dual_->first_failed && dual_->for_second && !dual_->sits_out() &&
                       !dual_->commit_was_none() && dual_->kept() <= settings().copy_max;
  if (follows && dual_->committed()) dual_->doubt_unit_order();
  if (follows) return send_script();
  const bool too_long = !dual_->first_failed && dual_->kept() > settings().copy_max;
  forget_script();
  if (dual_->frame == Frame::Wrapped) {
    if (!dual_->first_failed) {
      leave_out(Drop::Oversize);
      return commit_first();
    }
    return roll_first_back();
  }
  if (too_long) leave_out(Drop::Oversize);
  follow_without();
  unit_over();
}

// The first side has run a unit that the second will not: its block there goes on only if the
// first side's does.
void PostgresSession::follow_without() {
  const bool ended = dual_->status == Transaction::Idle && dual_->frame == Frame::Block;
  // Otherwise it has, say, other savepoints there, or other settings.
  const bool in_step = ended && !dual_->committed();
  const bool run_in_another = dual_->changes_block && dual_->status == Transaction::Open;
  if ((dual_->controls && !in_step) || run_in_another) {
    leave_out(Drop::StateRefused, Doubt::Outcome);
  }
  if (ended || dual_->sits_out()) roll_second_back();
  if (dual_->status == Transaction::Failed) release_failed();
}

// Of a transaction that can only be rolled back the first side holds no locks any more: others
// would wait for the second until the client ends it.
void PostgresSession::release_failed() {
  if (!dual_->second_begun || dual_->savepoints) return;
  roll_second_back();
  dual_->hopeless = true;
}

void PostgresSession::send_script() {
  Upstream& up = at(dual_->second());
  for (const DualTransaction::Message& message : dual_->messages) {
    up.owed().sent(message.head, message.mark);
  }
  up.stream().write_copy(dual_->script);
  up.stream().flush();
  counters().server_out.add(dual_->script.size());
  dual_->stage = Stage::Second;
  dual_->leg_ns = now_ns_;
  dual_->second_begun = dual_->second_ran = true;
  dual_->session_touched |= dual_->changes_session;
}

// The second side does not run the unit: it is as if it had skipped all of it.
void PostgresSession::forget_script() {
  Upstream& up = at(dual_->second());
  if (!dual_->messages.empty()) {
    note_asked(up, next_kept_id(), from_server::kErrorResponse);
    up.holds.unnamed = 0;
  }
  dual_->forget_script();
}

void PostgresSession::second_answered() {
  counters().leg[index(dual_->second())].record(now_ns_ - dual_->leg_ns);
  interlay_.answer_succeeded(dual_->second(), now_ns_);
  if (dual_->second_failed || dual_->second_status != dual_->status) {
    dual_->refused = true;
    leave_out(Drop::StateRefused, Doubt::Outcome);
    dual_->second_alone =
        dual_->frame == Frame::Wrapped && dual_->second_status == Transaction::Idle;
    roll_second_back();
  } else {
    const auto& [first, second] = dual_->digests;
    const bool alike =
        first.written() == second.written() && compare(first, second, dual_->how).same();
    dual_->differs |= !alike;
  }
  go_on_after_second();
}

void PostgresSession::go_on_after_second() {
  if (dual_->frame == Frame::Wrapped) return commit_first();
  unit_over();
}

void PostgresSession::unit_over() {
  if (dual_->committed()) return conclude_dual();
  finish_dual_unit();
}

// --- without the second side

void PostgresSession::roll_second_back() {
  Upstream& up = at(dual_->second());
  if (!std::exchange(dual_->second_begun, false) || up.state() != Upstream::State::Open) return;
  ask_ours(up, "ROLLBACK", Mark::Skip);
}

// Its connection is closed: what it had not committed is rolled back by that.
void PostgresSession::second_lost(Drop why) {
  const Stage stage = dual_->stage;
  if (!std::exchange(dual_->second_begun, false)) return;
  const bool may_have_committed =
      stage == Stage::SecondCommit ||
      (stage == Stage::Second && (dual_->frame == Frame::Bare || dual_->controls));
  leave_out(why, may_have_committed ? Doubt::Unanswered : Doubt::Unsent);
  // It may have read what is ours as it likes: see second_alone.
  dual_->second_alone |= stage == Stage::Second && dual_->frame == Frame::Wrapped;
  if (stage == Stage::Second) go_on_after_second();
  if (stage == Stage::SecondCommit) conclude_dual();
}

// It has as long as the first side took, and a limit more.
void PostgresSession::check_second() {
  const bool waits =
      dual_ && (dual_->stage == Stage::Second || dual_->stage == Stage::SecondCommit);
  if (!waits || !late_to_answer(dual_->leg_ns + dual_->took_ns)) return;
  interlay_.failed(dual_->second(), Interlay::Failure::Answer, now_ns_);
  Upstream& late = at(dual_->second());
  cancel_for_nobody(late);  // its locks would stay for as long as it runs
  late.close();
  second_lost(Drop::Timeout);
}

}  // namespace crossfade::postgres
