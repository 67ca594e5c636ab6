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

void SessionState::sent(std::uint64_t id, const Piece& first) {
  switch (first.type) {
    case from_client::kParse:
      sent_parse(id, first);
      break;
    case from_client::kBind:
      if (const auto bind = view_bind(first.body()); bind && !bind->portal.empty()) {
        keep({id, first.type, kPortal, std::string(bind->portal), {}});
      }
      break;
    case from_client::kClose:
      if (const auto subject = view_subject(first.body())) {
        keep({id, first.type, subject->kind, std::string(subject->name), {}});
      }
      break;
    case from_client::kQuery:
      if (unnamed_ || unnamed_lost_ || !pending_.empty()) keep({id, first.type, 0, {}, {}});
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
void SessionState::sent_parse(std::uint64_t id, const Piece& first) {
  const auto name = view_parse_name(first.body());
  if (!name) {  // longer than what has arrived
    lost_id_ = id;
    return;
  }
  Pending pending{id, first.type, kStatement, std::string(*name), {}};
  const bool fits = first.whole() && bytes_ + cost(pending) + first.size <= bytes_max_;
  if (fits) pending.message = first.bytes;
  keep(std::move(pending));
}

void SessionState::keep(Pending pending) {
  if (bytes_ + cost(pending) > bytes_max_) {
    const bool unnamed = pending.name.empty() && pending.subject != kPortal;
    (unnamed ? unnamed_lost_id_ : lost_id_) = pending.id;
    return;
  }
  bytes_ += cost(pending);
  pending_.push(std::move(pending));
}

SessionState::Pending SessionState::pop() {
  Pending pending = std::move(pending_.front());
  bytes_ -= cost(pending);
  pending_.pop();
  return pending;
}

void SessionState::settle_lost(std::uint64_t id) {
  if (lost_id_ != 0 && lost_id_ <= id) {
    lost_ = true;
    lost_id_ = 0;
  }
  if (unnamed_lost_id_ != 0 && unnamed_lost_id_ <= id) {
    set_unnamed(std::nullopt);
    unnamed_lost_ = true;
    unnamed_lost_id_ = 0;
  }
}

void SessionState::answered(std::uint64_t id, char type, std::string_view body) {
  if (type == from_server::kReadyForQuery) {
    if (const auto status = view_ready(body)) ready(*status);
  }
  if (id == 0) return;
  while (!pending_.empty() && pending_.front().id < id) pop();  // an error has discarded it
  settle_lost(id);
  if (!pending_.empty() && pending_.front().id == id) {
    Pending pending = pop();
    if (type == from_server::kErrorResponse) {
      apply_failed(pending);
    } else {
      apply(pending);
    }
  }
  if (type == from_server::kCommandComplete) complete(view_command_tag(body).value_or(""));
}

void SessionState::apply(Pending& pending) {
  switch (pending.type) {
    case from_client::kParse:
      define(std::move(pending.name), std::move(pending.message));
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
      set_unnamed(std::nullopt);
  }
}

void SessionState::apply_failed(const Pending& pending) {
  const bool unnamed_parse = pending.type == from_client::kParse && pending.name.empty();
  if (unnamed_parse || pending.type == from_client::kQuery) set_unnamed(std::nullopt);
}

void SessionState::define(std::string name, std::string message) {
  if (name.empty()) {
    set_unnamed(std::nullopt);
    const bool fits = !message.empty() && bytes_ + message.size() <= bytes_max_;
    if (fits) set_unnamed(std::move(message));
    unnamed_lost_ = !fits;
  } else if (message.empty()) {
    dropped(name);
    lost_ = true;
  } else {
    prepared(name, message);
  }
}

void SessionState::set_unnamed(std::optional<std::string> message) {
  if (unnamed_) bytes_ -= unnamed_->size();
  unnamed_ = std::move(message);
  if (unnamed_) bytes_ += unnamed_->size();
  unnamed_lost_ = false;
}

void SessionState::prepared(std::string_view name, std::string_view message) {
  dropped(name);
  if (bytes_ + name.size() + message.size() > bytes_max_) {
    lost_ = true;
    return;
  }
  bytes_ += name.size() + message.size();
  statements_.emplace(name, message);
}

void SessionState::dropped(std::string_view name) {
  if (name.empty()) return set_unnamed(std::nullopt);
  const auto found = statements_.find(name);
  if (found == statements_.end()) return;
  bytes_ -= found->first.size() + found->second.size();
  statements_.erase(found);
}

void SessionState::dropped_all() {
  for (const auto& [name, message] : statements_) bytes_ -= name.size() + message.size();
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
