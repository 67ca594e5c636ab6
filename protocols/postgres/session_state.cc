// Effects of messages on a session, in the order of their answers (exec_parse_message() and its kin
// of PostgreSQL 15).
#include "protocols/postgres/session_state.h"

#include <utility>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/frontend.h"

namespace crossfade::postgres {

std::size_t SessionState::cost(const Pending& pending) {
  return sizeof(Pending) + pending.name.size() + pending.message.size();
}

void SessionState::sent(std::uint64_t id, const Piece& first, Facts facts) {
  switch (first.type) {
    case from_client::kParse:
      sent_parse(id, first, std::move(facts));
      break;
    case from_client::kBind:
      if (first.body().starts_with('\0')) break;  // most portals have no name
      if (const auto bind = view_bind(first.body()); bind && !bind->portal.empty()) {
        keep({id, first.type, kPortal, std::string(bind->portal), {}, 0, {}});
      }
      break;
    case from_client::kClose:
      if (const auto subject = view_subject(first.body())) {
        keep({id, first.type, subject->kind, std::string(subject->name), {}, 0, {}});
      }
      break;
    case from_client::kQuery:
      if (unnamed_ || unnamed_lost_ || !pending_.empty()) keep({id, first.type, 0, {}, {}, 0, {}});
      [[fallthrough]];
    case from_client::kFunctionCall:
    case from_client::kSync:
      ++segments_;
      segment_ = Segment::Closed;
      return;
    case from_client::kDescribe:
    case from_client::kExecute:
      break;
    default:
      return;
  }
  segment_ = Segment::Open;
}

// One that is too long may replace another, or end it, and so is remembered without its bytes.
void SessionState::sent_parse(std::uint64_t id, const Piece& first, Facts facts) {
  const auto name = view_parse_name(first.body());
  if (!name) {  // longer than what has arrived
    lost_id_ = id;
    return;
  }
  const std::uint64_t serial = next_serial();
  const std::size_t bare = sizeof(Pending) + name->size();
  const bool fits = first.whole() && bytes_ + bare + first.size <= bytes_max_;
  const std::size_t weight = bare + (fits ? first.size : 0);
  if (bytes_ + weight > bytes_max_) {
    (name->empty() ? unnamed_lost_id_ : lost_id_) = id;
    return;
  }
  bytes_ += weight;
  if (name->empty()) {
    unnamed_id_ = id;
    unnamed_underway_ = Underway::Made;
  }
  Pending& pending = pending_.push();
  pending.id = id;
  pending.type = first.type;
  pending.subject = kStatement;
  pending.serial = serial;
  pending.name = *name;
  if (fits) pending.message = first.bytes;
  pending.facts = std::move(facts);
}

void SessionState::keep(Pending pending) {
  if (bytes_ + cost(pending) > bytes_max_) {
    const bool unnamed = pending.name.empty() && pending.subject != kPortal;
    (unnamed ? unnamed_lost_id_ : lost_id_) = pending.id;
    return;
  }
  bytes_ += cost(pending);
  if (pending.name.empty() && pending.effect() != Underway::Nothing) {
    unnamed_id_ = pending.id;
    unnamed_underway_ = pending.effect();
  }
  pending_.push(std::move(pending));
}

void SessionState::pop() {
  if (pending_.front().id == unnamed_id_) unnamed_underway_ = Underway::Nothing;
  pending_.pop();
}

void SessionState::discard() {
  bytes_ -= cost(pending_.front());
  pop();
}

void SessionState::settle_lost(std::uint64_t id) {
  if (lost_id_ != 0 && lost_id_ <= id) {
    lost_ = true;
    lost_id_ = 0;
  }
  if (unnamed_lost_id_ != 0 && unnamed_lost_id_ <= id) {
    drop_unnamed();
    unnamed_lost_ = true;
    unnamed_lost_id_ = 0;
  }
}

void SessionState::settle(std::uint64_t id, char type, std::string_view body) {
  if (type == from_server::kReadyForQuery) {
    if (const auto status = view_ready(body)) ready(*status);
  }
  if (id == 0) return;
  while (!pending_.empty() && pending_.front().id < id) discard();  // an error has done so
  settle_lost(id);
  if (!pending_.empty() && pending_.front().id == id) {
    Pending& pending = pending_.front();
    bytes_ -= cost(pending);
    if (type == from_server::kErrorResponse) {
      apply_failed(pending);
    } else {
      apply(pending);
    }
    pop();
  }
  if (type == from_server::kCommandComplete && body.starts_with('D'))
    complete(view_command_tag(body).value_or(""));
}

void SessionState::apply(Pending& pending) {
  switch (pending.type) {
    case from_client::kParse:
      define(pending);
      break;
    case from_client::kBind:
      if (portals_.insert(pending.name).second) bytes_ += pending.name.size();
      break;
    case from_client::kClose:
      if (pending.subject == kStatement) {
        dropped(pending.name);
      } else if (portals_.erase(pending.name) > 0) {
        bytes_ -= pending.name.size();
      }
      break;
    default:  // a Query drops what is unnamed before it looks at its text
      drop_unnamed();
  }
}

void SessionState::apply_failed(const Pending& pending) {
  const bool unnamed_parse = pending.type == from_client::kParse && pending.name.empty();
  if (unnamed_parse || pending.type == from_client::kQuery) drop_unnamed();
}

void SessionState::define(Pending& pending) {
  if (pending.name.empty()) return define_unnamed(pending);
  Statement made{std::move(pending.message), pending.serial, std::move(pending.facts)};
  if (made.message.empty()) {
    dropped(pending.name);
    lost_ = true;
  } else {
    prepared(pending.name, std::move(made));
  }
}

void SessionState::define_unnamed(Pending& pending) {
  const std::size_t freed = unnamed_ ? unnamed_->message.size() : 0;
  const std::size_t bytes = bytes_ - freed + pending.message.size();
  if (pending.message.empty() || bytes > bytes_max_) {
    drop_unnamed();
    unnamed_lost_ = true;
    return;
  }
  bytes_ = bytes;
  if (!unnamed_) unnamed_ = Statement{};
  unnamed_->message = std::move(pending.message);
  unnamed_->serial = pending.serial;
  unnamed_->facts = std::move(pending.facts);
  unnamed_lost_ = false;
}

void SessionState::drop_unnamed() {
  if (unnamed_) bytes_ -= unnamed_->message.size();
  unnamed_.reset();
  unnamed_lost_ = false;
}

void SessionState::prepared(std::string_view name, Statement statement) {
  dropped(name);
  const std::size_t size = name.size() + statement.message.size();
  if (bytes_ + size > bytes_max_) {
    lost_ = true;
    return;
  }
  bytes_ += size;
  statements_.emplace(name, std::move(statement));
}

std::optional<SessionState::Meaning> SessionState::meaning(std::string_view name) const {
  for (std::size_t i = pending_.size(); i-- > 0;) {
    const Pending& pending = pending_.at(i);
    if (pending.makes_statement() && pending.name == name) {
      return Meaning{pending.message, pending.facts.get()};
    }
  }
  const Statement* const statement = find(name);
  if (statement == nullptr) return std::nullopt;
  return Meaning{statement->message, statement->facts.get()};
}

const SessionState::Statement* SessionState::find(std::string_view name) const {
  if (name.empty()) return unnamed_ ? &*unnamed_ : nullptr;
  const auto found = statements_.find(name);
  return found == statements_.end() ? nullptr : &found->second;
}

SessionState::Underway SessionState::underway(std::string_view name) const {
  if (name.empty()) return unnamed_underway_;
  Underway last = Underway::Nothing;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const Pending& pending = pending_.at(i);
    const Underway effect = pending.effect();
    if (effect != Underway::Nothing && pending.name == name) last = effect;
  }
  return last;
}

void SessionState::forget_pending() {
  while (!pending_.empty()) discard();
  lost_id_ = unnamed_lost_id_ = 0;
}

void SessionState::dropped(std::string_view name) {
  if (name.empty()) return drop_unnamed();
  const auto found = statements_.find(name);
  if (found == statements_.end()) return;
  bytes_ -= found->first.size() + found->second.message.size();
  statements_.erase(found);
}

void SessionState::dropped_all() {
  for (const auto& [name, statement] : statements_) {
    bytes_ -= name.size() + statement.message.size();
  }
  statements_.clear();
  lost_ = false;
}

void SessionState::complete(std::string_view tag) {
  if (tag == "DEALLOCATE ALL" || tag == "DISCARD ALL") dropped_all();
}

// Without a transaction there are no portals.
void SessionState::ready(Transaction status) {
  transaction_ = status;
  if (status != Transaction::Idle || portals_.empty()) return;
  for (const std::string& name : portals_) bytes_ -= name.size();
  portals_.clear();
}

}  // namespace crossfade::postgres
