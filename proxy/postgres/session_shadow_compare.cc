// What the client has asked in a transaction that is copied, to be shown and asked again; and
// whether both servers have answered it alike.
#include <utility>

#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

namespace {
// The client's, but for what each endpoint has its own of.
std::string repeated_parameters(std::string_view start_up) {
  std::string parameters;
  while (const auto one = next_parameter(start_up)) {
    if (one->name == "user" || one->name == "database" || is_protocol_option(one->name)) continue;
    append_parameter(parameters, one->name, one->value);
  }
  return parameters;
}
}  // namespace

void PostgresSession::note_compared(const Piece& piece) {
  CopiedTransaction& copied = *shadow_->current();
  BoundPortal& portal = shadow_->portal;
  switch (piece.type) {
    case from_client::kQuery: {
      const auto text = piece.whole() ? view_query(piece.body()) : std::nullopt;
      if (!text) return copied.reads.lose();
      const auto& facts = interlay_.classifier(database_).facts_of(*text, reading_);
      copied.say(*text, *facts);
      return copied.reads.query(piece.body(), *facts);
    }
    case from_client::kParse: {
      const auto parse = piece.whole() ? view_parse(piece.body()) : std::nullopt;
      portal.parsed.clear();
      if (!parse) return;
      portal.parsed_name = parse->name;
      portal.parsed_facts = interlay_.classifier(database_).facts_of(parse->text, reading_);
      portal.parsed = piece.body();
      return;
    }
    case from_client::kBind:
      portal.bind.clear();
      if (piece.whole()) note_bound(piece);
      return;
    case from_client::kExecute: {
      const auto execute = view_execute(piece.body());
      const bool known = execute && execute->portal.empty() && !portal.bind.empty();
      if (!known) return copied.reads.lose();
      if (const auto parse = view_parse(portal.parse)) copied.say(parse->text, *portal.facts);
      copied.reads.execute(portal.parse, portal.bind, execute->rows_max, *portal.facts);
      return portal.bind.clear();  // what is run on is another thing
    }
    case from_client::kFunctionCall:
      return copied.reads.lose();
    default:
      return;
  }
}

void PostgresSession::note_bound(const Piece& piece) {
  BoundPortal& portal = shadow_->portal;
  const auto bind = view_bind(piece.body());
  if (!bind || !bind->portal.empty()) return;
  if (state_.underway(bind->statement) == SessionState::Underway::Nothing) {
    const SessionState::Statement* const statement = state_.find(bind->statement);
    const bool parsed = statement && statement->facts && !statement->message.empty() &&
                        statement->message[0] == from_client::kParse;
    if (!parsed) return;
    portal.parse.assign(statement->message, kHeaderSize);
    portal.facts = statement->facts;
  } else {
    if (portal.parsed.empty() || portal.parsed_name != bind->statement) return;
    portal.parse = portal.parsed;
    portal.facts = portal.parsed_facts;
  }
  portal.bind = piece.body();
}

void PostgresSession::settle_copies() {
  while (const CopiedTransaction* const copied = shadow_->finished()) {
    compare_copy(*copied);
    shadow_->pop();
    --interlay_.second_inflight;
  }
}

void PostgresSession::compare_copy(const CopiedTransaction& copied) {
  SecondCounters& counts = counters().second[0];
  const ResultDigest& old_side = copied.digests[index(Side::Old)];
  const ResultDigest& new_side = copied.digests[index(Side::New)];
  counts.answered.add();
  if (new_side.failures() > 0) counts.errors.add();
  if (copied.how == How::ShapeOnly) counts.uncompared.add();
  Compared compared = compare(old_side, new_side, How::Exact);
  if (compared.same()) return;
  counts.mismatched.add();
  if (loop().compare_door().offer) offer(copied, std::move(compared));
}

// Without the settings that it was asked with nothing can be asked again: they are found out, for
// the next time.
void PostgresSession::offer(const CopiedTransaction& copied, Compared compared) {
  Mismatch mismatch;
  mismatch.route = newest_route();
  mismatch.command = copied.said;
  mismatch.keys = copied.tables;
  AskedSql sql;
  sql.database = database_;
  sql.parameters = repeated_parameters(start_up_);
  sql.compared = std::move(compared);
  for (const Side side : {Side::Old, Side::New}) {
    sql.failures[index(side)] = copied.digests[index(side)].failures();
  }
  if (auto settings = settings_again(); !settings) {
    shadow_->settings_wanted = true;
  } else if (!copied.reads.hows().empty()) {
    mismatch.read = true;
    mismatch.request = copied.reads.messages();
    if (renders()) sql.new_request = in_form_of_new(mismatch.request);
    sql.settings = std::move(*settings);
    sql.hows = copied.reads.hows();
  }
  mismatch.sql = std::move(sql);
  loop().compare_door().offer(std::move(mismatch));
}

// Messages that give a session this one's settings; nothing: they are not known.
std::optional<std::string> PostgresSession::settings_again() const {
  std::string messages;
  if (shadow_->version == 0) return messages;
  if (!inventory_known()) return std::nullopt;
  for (const std::string& text : settings_queries(inventory_.settings, {})) {
    append_query(messages, text);
  }
  return messages;
}

}  // namespace crossfade::postgres
