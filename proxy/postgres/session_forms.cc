// Statements that new has in another form, as other templates serve their api there: what it gets
// in place of the client's messages.
//
// Whoever sends new a text, for whatever reason, asks here; old, and whoever keeps what the client
// has said, has its own words. So a Bind names what was prepared in the right form.
#include <optional>

#include "protocols/postgres/builder.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

bool PostgresSession::renders() const {
  const auto& apis = newest_route()->sql_apis;
  return apis && apis->renders();
}

// A whole Query or Parse as that server gets it: itself, or a view that the next call ends.
std::string_view PostgresSession::in_form_of(Side side, std::string_view message) {
  if (side == Side::Old || !renders()) return message;
  const std::string_view body = message.substr(kHeaderSize);
  const auto parse = message[0] == from_client::kParse ? view_parse(body) : std::nullopt;
  const auto query = message[0] == from_client::kQuery ? view_query(body) : std::nullopt;
  if (!parse && !query) return message;
  const std::string_view text = parse ? parse->text : *query;
  ApiScratch& scratch = loop().api_scratch();
  const auto& facts = interlay_.classifier(database_).facts_of(text, reading_);
  if (facts->writes && newest_route()->authority()) return message;  // both are to do the same
  const SqlApiSet& apis = *newest_route()->sql_apis;
  const bool anew = apis.render({facts.get(), text}, scratch.texts, scratch.rendered);
  if (!anew) return message;
  scratch.message.clear();
  if (query) {
    append_query(scratch.message, scratch.rendered);
  } else {
    MessageBuilder(scratch.message, from_client::kParse)
        .text(parse->name)
        .text(scratch.rendered)
        .u16(static_cast<std::uint16_t>(parse->type_count()))
        .bytes(parse->types);
  }
  return scratch.message;
}

// Likewise of all messages of a client that are whole.
std::string PostgresSession::in_form_of_new(std::string_view messages) {
  std::string anew;
  MessageCutter cutter(Stream::Client);
  each_piece(messages, cutter, [&](const Piece& piece) {
    anew += piece.whole() ? in_form_of(Side::New, piece.bytes) : piece.bytes;
  });
  return anew;
}

void PostgresSession::write_to(Upstream& up, const Piece& piece) {
  const bool asked = up.side() == Side::New && has_text(piece.type) && piece.whole();
  const std::string_view bytes = asked ? in_form_of(Side::New, piece.bytes) : piece.bytes;
  if (bytes.data() == piece.bytes.data()) {
    up.stream().write(bytes);
  } else {
    up.stream().write_copy(bytes);
  }
  counters().server_out.add(bytes.size());
}

// What was prepared on new may have been so in another form: it is prepared there anew when it is
// used next.
void PostgresSession::forget_forms() {
  Holdings& there = at(Side::New).holds;
  for (auto& [name, serial] : there.statements) serial = 0;
  there.unnamed = 0;
}

// Which tables new reads for what it has in another form is not known.
bool PostgresSession::is_suspected_anew(const InterlayRoute& route) const {
  return route.sql_apis && route.authority() && any_suspected();
}

}  // namespace crossfade::postgres
