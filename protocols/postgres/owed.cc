// The order of replies: whom each belongs to, and what an error, or the end of a COPY, discards.
//
// The message that is being answered is taken out of the queue: what is left there the server has
// not begun to answer. That lets COPY IN eat what was sent behind it.
#include "protocols/postgres/owed.h"

#include <cassert>

#include "protocols/postgres/backend.h"

namespace crossfade::postgres {
namespace {

constexpr bool is_aside(char type) {
  return type == from_server::kNoticeResponse || type == from_server::kParameterStatus ||
         type == from_server::kNotificationResponse;
}

}  // namespace

std::optional<ServerMessage> server_message_of(const Piece& first) {
  ServerMessage message{first.type};
  if (first.type == from_server::kReadyForQuery) {
    const auto status = view_ready(first.body());
    if (!status) return std::nullopt;
    message.status = *status;
  } else if (first.type == from_server::kErrorResponse && ends_connection(first.body())) {
    message.severity = Severity::Fatal;
  }
  return message;
}

// While a message is answered, or some are discarded.
std::uint64_t OwedReplies::sent_amid(const ClientMessage& message, Mark mark) {
  const bool feeds = message.type == from_client::kCopyData && active_ && waiting_.empty();
  if (feeds) active_->fed = true;  // nothing else was sent before it
  const Form form = form_of(message);
  const bool goes_on = form.owing == Owing::Sync && mark != Mark::Synthesise;
  if (over_ || (skipping_ == Skipping::ToSync && !goes_on)) return ++last_id_;
  if (skipping_ == Skipping::ToSync) skipping_ = Skipping::No;
  const std::uint64_t id = push(form, mark);
  absorb();
  return id;
}

std::uint64_t OwedReplies::sent_start_up(Mark mark) { return push({Owing::StartUp}, mark); }

// COPY IN reads on: what follows in the queue is its, up to the end of its data.
void OwedReplies::absorb() {
  while (active_ && active_->stage == Stage::CopyIn && !waiting_.empty()) {
    const Waiting next = waiting_.front();
    if (next.mark == Mark::Synthesise) return;
    if (next.form.owing == Owing::Sync) {
      ++active_->eaten;
      active_->fed = false;
      spare_mark_ = next.mark;
      spare_id_ = next.id;
    } else if (next.form.owing == Owing::CopyEnd) {
      active_->stage = Stage::CopyInOver;
    } else {
      return;  // the server will end the connection over it
    }
    waiting_.pop();
  }
}

void OwedReplies::activate() {
  if (active_ || in_doubt()) return;
  prune();
  if (waiting_.empty()) return;
  assert(waiting_.front().mark != Mark::Synthesise);  // take_synthesised() comes first
  active_ = Active{waiting_.front()};
  waiting_.pop();
}

std::optional<Synthesised> OwedReplies::take_synthesised() {
  if (active_ || in_doubt() || waiting_.empty()) return std::nullopt;
  const Waiting next = waiting_.front();
  if (next.mark != Mark::Synthesise) return std::nullopt;
  waiting_.pop();
  prune();
  return Synthesised{next.id, next.form.type};
}

Arrival OwedReplies::arrived(const ServerMessage& message) {
  if (over_) return Broken{"a message behind a fatal error"};
  const bool next = !active_ && !in_doubt() && !waiting_.empty();
  if (next && waiting_.front().form.ends_with(message.type)) return end_next();
  if (is_aside(message.type)) return aside(message.type);
  const bool is_error = message.type == from_server::kErrorResponse;
  if (is_error && message.severity == Severity::Fatal) return last_words();
  if (message.type == from_server::kReadyForQuery) return ready(message.status);
  if (is_error && in_doubt()) return fail_in_doubt();
  activate();
  if (!active_) return Broken{"a reply that nothing is owed for"};
  spare_ = 0;
  if (is_error) return fail();
  const std::uint32_t eaten = active_->eaten;
  switch (step(*active_, message.type)) {
    case Step::Goes:
      absorb();  // a COPY IN may have begun
      if (active_->eaten < eaten) spare_ = eaten;
      return Answer{Belongs::Reply, active_->message.mark, active_->message.id, false};
    case Step::Ends:  // without an error: its COPY has read over all of them
      return end(active_->message);
    case Step::Wrong:
      return Broken{"a reply of another form than is owed"};
  }
  return Broken{"a reply of another form than is owed"};
}

Arrival OwedReplies::fail() {
  const std::uint32_t eaten = active_->eaten;
  if (eaten > 0) spare_ = eaten;
  if (!is_extended(active_->message.form.owing)) {
    active_->stage = Stage::Failed;
    active_->eaten = 0;
    return Answer{Belongs::Reply, active_->message.mark, active_->message.id, false};
  }
  const bool after_syncs = active_->stage == Stage::CopyInOver || active_->fed;
  const Answer answer = end(active_->message);
  // In doubt nothing is discarded before it is known from where.
  if (eaten > 0) {
    skipping_ = after_syncs ? Skipping::InDoubtOver : Skipping::InDoubt;
  } else {
    drop_to_sync();
  }
  return answer;
}

bool OwedReplies::ends_skipping(const Waiting& message) {
  return message.form.owing == Owing::Sync && message.mark != Mark::Synthesise;
}

// A Sync fails, be it the next or one that was thought to be eaten.
Arrival OwedReplies::fail_in_doubt() {
  if (settle_doubt()) {
    activate();
    return fail();
  }
  skipping_ = Skipping::InDoubt;  // up to its ReadyForQuery
  return spare(false);
}

// Of a Sync in COPY IN. Which one, is known if there is but one.
Answer OwedReplies::spare(bool ends) {
  const bool known = spare_ == 1 && spare_id_ > answered_id_;
  spare_ -= ends ? 1 : 0;
  return {Belongs::Reply, spare_mark_, known ? spare_id_ : 0, ends};
}

void OwedReplies::drop_to_sync() {
  while (!waiting_.empty() && !ends_skipping(waiting_.front())) waiting_.pop();
  skipping_ = waiting_.empty() ? Skipping::ToSync : Skipping::No;
}

// The server skipped, and has come to a Sync; true when that is the next in the queue, and false
// when it is one that COPY IN was thought to have eaten.
//
// It is the next when it follows at once, or when other messages are between them but the client
// had sent data, or ended its COPY, behind the Syncs: that is what fails, and libpq sends a Sync
// before it. Messages that follow a Sync with no data were meant for after a COPY that fails early.
bool OwedReplies::settle_doubt() {
  bool over = skipping_ == Skipping::InDoubtOver;
  over |= !waiting_.empty() && waiting_.front().form.owing == Owing::CopyEnd;
  skipping_ = Skipping::No;
  prune();
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    if (!ends_skipping(waiting_.at(i))) continue;
    if (i > 0 && !over) return false;
    drop_to_sync();
    return true;
  }
  return false;
}

Arrival OwedReplies::ready(Transaction status) {
  const bool mine = !in_doubt() || settle_doubt();
  if (mine) activate();
  const auto ends = [this] {
    if (!active_) return false;
    switch (active_->message.form.owing) {
      case Owing::Sync:
        return true;
      case Owing::Query:
      case Owing::FunctionCall:
      case Owing::StartUp:
        return active_->stage == Stage::Running || active_->stage == Stage::Failed;
      case Owing::Nothing:
      case Owing::Parse:
      case Owing::Bind:
      case Owing::DescribeStatement:
      case Owing::DescribePortal:
      case Owing::Execute:
      case Owing::Close:
      case Owing::CopyEnd:
      case Owing::OnlyError:
        return false;
    }
    return false;
  };
  if (ends()) {
    transaction_ = status;
    return end(active_->message);
  }
  if (spare_ == 0 || (active_ && active_->stage != Stage::Waiting)) {
    return Broken{"ReadyForQuery that nothing is owed for"};
  }
  transaction_ = status;
  return spare(true);
}

Arrival OwedReplies::aside(char type) const {
  Mark mark = Mark::Forward;
  if (type != from_server::kNotificationResponse && !in_doubt()) {
    if (active_) {
      mark = active_->message.mark;
    } else if (!waiting_.empty()) {
      mark = waiting_.front().mark;
    }
  }
  return Answer{Belongs::Aside, mark, 0, false};
}

Arrival OwedReplies::last_words() {
  Answer answer{Belongs::LastWords, Mark::Forward, 0, true};
  if (active_) {
    answer.mark = active_->message.mark;
    answer.id = active_->message.id;
  }
  active_.reset();
  waiting_.clear();
  spare_ = 0;
  over_ = true;
  return answer;
}

CopyMode OwedReplies::copying() const {
  if (!active_) return CopyMode::None;
  switch (active_->stage) {
    case Stage::CopyIn:
      return CopyMode::In;
    case Stage::CopyOut:
      return CopyMode::Out;
    case Stage::CopyBoth:
    case Stage::CopyBothOver:
      return CopyMode::Both;
    case Stage::Waiting:
    case Stage::Running:
    case Stage::CopyInOver:
    case Stage::Failed:
      return CopyMode::None;
  }
  return CopyMode::None;
}

}  // namespace crossfade::postgres
