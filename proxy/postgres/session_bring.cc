// What servers are given of a session while it talks to them: statements of Parse that one lacks.
//
// They are brought when they are used, before the message that needs them, and what has become of
// each is known from the server's answers only: until then it is among what was asked.
#include <algorithm>
#include <string>
#include <utility>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

namespace {
// There is no such savepoint.
constexpr std::string_view kStandInText = "ROLLBACK TO SAVEPOINT \"crossfade: stands in\"";
constexpr std::uint32_t kTextOid = 25;

// As far as its text tells.
std::optional<std::size_t> parameters_of(const SessionState::Statement& statement) {
  const bool read = statement.facts && statement.facts->parameters;
  if (!read || !statement.message.starts_with(from_client::kParse)) return std::nullopt;
  const auto parse = view_parse(std::string_view(statement.message).substr(kHeaderSize));
  if (!parse) return std::nullopt;
  return std::max<std::size_t>(parse->type_count(), *statement.facts->parameters);
}
}  // namespace

// What the next unit runs by a name may not be there, as what was sent before it may be skipped.
bool PostgresSession::brings_under_way() const {
  const Ring<Asked>& asked = server().holds.asked;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const Asked::What what = asked.at(i).what;
    const bool asks = what == Asked::What::Described;
    if (what != Asked::What::Made && what != Asked::What::Closed && !asks) return true;
  }
  return false;
}

std::uint64_t PostgresSession::inject(Upstream& up, std::string_view message, char type,
                                      char subject) {
  const ClientMessage head{type, subject, message.size()};
  if (keeps_for_second(up)) {
    const std::uint64_t id = next_kept_id();
    dual_->keep(head, Mark::Skip, message);
    return id;
  }
  const std::uint64_t id = up.owed().sent(head, Mark::Skip);
  up.stream().write_copy(message);
  counters().server_out.add(message.size());
  return id;
}

void PostgresSession::bring_for(Upstream& up, const Piece& piece) {
  if (piece.type == from_client::kQuery || piece.type == from_client::kParse) {
    for (const std::string& name : reader_.named_by_sql()) bring_for_sql(up, name, piece.type);
  }
  if (piece.type == from_client::kBind) {
    bring_for_bind(up, piece);
  } else if (piece.type == from_client::kDescribe) {
    const auto subject = view_subject(piece.body());
    if (subject && subject->kind == kStatement) bring_statement(up, subject->name);
  } else if (piece.type == from_client::kParse) {
    // One that is there makes the Parse fail, as it should; one that no more should be does not.
    if (piece.body().starts_with('\0')) return;  // it replaces what is there
    const auto name = view_parse_name(piece.body());
    const bool underway = name && state_.underway(*name) != SessionState::Underway::Nothing;
    if (!name || underway) return;
    bring_statement(up, *name);
  }
}

// EXECUTE and DEALLOCATE know the statements of Parse, too. Before a Query it is brought in a
// segment of its own: a Query is skipped when a Parse before it fails.
void PostgresSession::bring_for_sql(Upstream& up, std::string_view name, char type) {
  const SessionState::Statement* const statement = state_.find(name);
  if (!statement || state_.underway(name) != SessionState::Underway::Nothing) return;
  const auto there = up.holds.statements.find(name);
  const bool has = there != up.holds.statements.end() && there->second == statement->serial;
  if (has) return;
  bring_statement(up, name);
  if (type != from_client::kQuery || mid_unit_) return;
  up.holds.asked.back().what = Asked::What::Alone;
  std::string sync;
  append_sync(sync);
  inject(up, sync, from_client::kSync);
}

// A Bind that passes another number of parameters than its statement takes fails for that even in a
// failed transaction (exec_bind_message()), where statements can not be brought.
void PostgresSession::bring_for_bind(Upstream& up, const Piece& piece) {
  const auto bind = view_bind(piece.body());
  if (!bind || state_.underway(bind->statement) != SessionState::Underway::Nothing) return;
  const bool sound = !up.owed().owes() && up.owed().transaction() != Transaction::Failed;
  const SessionState::Statement* const statement = sound ? nullptr : state_.find(bind->statement);
  const auto takes = statement ? parameters_of(*statement) : std::nullopt;
  const auto passes = view_bind_count(piece.body());
  if (!takes || !passes || *takes == *passes) return bring_statement(up, bind->statement);
  bring_stand_in(up, bind->statement, *takes);
}

// The session has no such statement any more: the server must not have it, either.
void PostgresSession::drop_stale(Upstream& up, std::string_view name) {
  if (state_.kept() == Kept::NotAll) return;
  Holdings& there = up.holds;
  if (name.empty()) {
    if (std::exchange(there.unnamed, 0) == 0) return;
  } else {
    const auto found = there.statements.find(name);
    if (found == there.statements.end()) return;
    there.statements.erase(found);
  }
  std::string close;
  append_close(close, kStatement, name);
  const std::uint64_t id = inject(up, close, from_client::kClose);
  up.holds.asked.push({id, Asked::What::Dropped, std::string(name), 0});
}

void PostgresSession::bring_statement(Upstream& up, std::string_view name) {
  if (state_.underway(name) != SessionState::Underway::Nothing) return;
  Holdings& there = up.holds;
  const SessionState::Statement* const statement = state_.find(name);
  if (!statement) return drop_stale(up, name);
  if (name.empty()) {
    if (std::exchange(there.unnamed, statement->serial) == statement->serial) return;
    return bring(up, *statement, name);
  }
  const auto found = there.statements.find(name);
  if (found != there.statements.end()) {
    if (std::exchange(found->second, statement->serial) == statement->serial) return;
    std::string close;
    append_close(close, kStatement, name);
    inject(up, close, from_client::kClose);
  } else {
    there.statements.emplace(name, statement->serial);
  }
  bring(up, *statement, name);
}

// A statement that a failed transaction lets in, and that never does anything, takes as many
// parameters as the one that is meant.
void PostgresSession::bring_stand_in(Upstream& up, std::string_view name, std::size_t parameters) {
  if (state_.underway(name) != SessionState::Underway::Nothing) return;
  Holdings& there = up.holds;
  const std::uint64_t meant = state_.find(name)->serial;
  std::uint64_t& has = name.empty() ? there.unnamed : there.statements[std::string(name)];
  if (has == meant) return;
  has = kStandIn;
  std::string messages;
  append_close(messages, kStatement, name);
  inject(up, messages, from_client::kClose);
  messages.clear();
  append_parse(messages, name, kStandInText, std::vector<std::uint32_t>(parameters, kTextOid));
  const std::uint64_t id = inject(up, messages, from_client::kParse);
  there.asked.push({id, Asked::What::Brought, std::string(name), kStandIn});
}

void PostgresSession::bring(Upstream& up, const SessionState::Statement& statement,
                            std::string_view name) {
  const std::uint64_t id =
      inject(up, in_form_of(up.side(), statement.message), from_client::kParse);
  up.holds.asked.push({id, Asked::What::Brought, std::string(name), statement.serial});
}

// A message is about to be sent: what the server has from then on.
void PostgresSession::note_statement(Upstream& up, std::uint64_t id, const Piece& piece) {
  if (piece.type == from_client::kParse) note_made(up, id, piece);
  if (piece.type == from_client::kClose) note_closed(up, id, piece);
  if (piece.type == from_client::kQuery) up.holds.unnamed = 0;
}

// A Parse of a name that is taken fails.
void PostgresSession::note_made(Upstream& up, std::uint64_t id, const Piece& parse) {
  const auto name = view_parse_name(parse.body());
  if (!name) return;
  Holdings& there = up.holds;
  const std::uint64_t serial = state_.last_serial() + 1;
  if (name->empty()) {
    there.unnamed = serial;
  } else if (!state_.find(*name) || state_.underway(*name) == SessionState::Underway::Closed) {
    there.statements.insert_or_assign(std::string(*name), serial);
    there.asked.push({id, Asked::What::Made, std::string(*name), serial});
  }
}

void PostgresSession::note_closed(Upstream& up, std::uint64_t id, const Piece& close) {
  const auto subject = view_subject(close.body());
  if (!subject || subject->kind != kStatement) return;
  const std::string_view name = subject->name;
  Holdings& there = up.holds;
  const auto found = there.statements.find(name);
  const std::uint64_t named = found == there.statements.end() ? 0 : found->second;
  const std::uint64_t serial = name.empty() ? there.unnamed : named;
  const SessionState::Statement* const meant = state_.find(name);
  const bool lacked = meant && meant->serial != serial;
  if (!lacked && found == there.statements.end()) return;
  const auto what = lacked ? Asked::What::Lacked : Asked::What::Closed;
  there.asked.push({id, what, std::string(name), serial});
}

// A reply to the message `id` has come, or the first that says that earlier ones were skipped.
void PostgresSession::note_asked(Upstream& up, std::uint64_t id, char type, std::string_view body) {
  Ring<Asked>& asked = up.holds.asked;
  while (!asked.empty() && asked.front().id <= id) {
    const bool skipped = asked.front().id < id;
    const bool described = asked.front().what == Asked::What::Described;
    if (described && !skipped) note_told_type(asked.front(), type, body);
    settle_asked(up.holds, asked.front(), skipped ? from_server::kErrorResponse : type);
    asked.pop();
  }
}

// What is not known to be there any more, nor to be gone, is 0.
void PostgresSession::settle_asked(Holdings& there, const Asked& asked, char type) {
  const bool failed = type == from_server::kErrorResponse;
  const auto found = there.statements.find(asked.name);
  const bool same = found != there.statements.end() && found->second == asked.serial;
  switch (asked.what) {
    case Asked::What::Brought:
    case Asked::What::Alone:
      if (failed && asked.name.empty() && there.unnamed == asked.serial) there.unnamed = 0;
      if (failed && same) found->second = 0;
      break;
    case Asked::What::Dropped:
      if (failed && !asked.name.empty()) there.statements.insert_or_assign(asked.name, 0);
      break;
    case Asked::What::Made:
      if (!failed || !same) break;
      if (state_.find(asked.name)) {
        found->second = 0;
      } else {
        there.statements.erase(found);
      }
      break;
    case Asked::What::Closed:
    case Asked::What::Lacked:
      if (!failed && same) there.statements.erase(found);
      break;
    case Asked::What::Described:
      break;
  }
}

}  // namespace crossfade::postgres
