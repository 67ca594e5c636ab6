// Who the user of a unit is, for strategies that give a share of the users.
#include <array>
#include <functional>

#include "protocols/postgres/commented.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

namespace {

// The text of a message that makes a statement: a Parse, or a Query that says PREPARE.
std::optional<std::string_view> text_of(std::string_view message) {
  if (message.size() < kHeaderSize) return std::nullopt;
  const std::string_view body = message.substr(kHeaderSize);
  if (message[0] == from_client::kQuery) return view_query(body);
  const auto parse = view_parse(body);
  return parse ? std::optional(parse->text) : std::nullopt;
}

}  // namespace

// Of its first statement: the one that it says, or that it binds. Others of the unit go with it.
std::optional<std::string_view> PostgresSession::first_text(std::string_view unit) const {
  std::optional<std::string_view> text;
  bool found = false;
  MessageCutter cutter(Stream::Client, settings().segment_max);
  each_piece(unit, cutter, [&](const Piece& piece) {
    if (found || !piece.first()) return;
    switch (piece.type) {
      case from_client::kQuery:
      case from_client::kParse:
        found = true;
        text = text_of(piece.bytes);
        return;
      case from_client::kBind: {
        const auto bind = view_bind(piece.body());
        const auto meaning = bind ? state_.meaning(bind->statement) : std::nullopt;
        found = true;
        if (meaning) text = text_of(meaning->message);
        return;
      }
      default:
        return;
    }
  });
  return text;
}

// Which side its reads are on. Writes of a split by user are not split.
//   unit  empty, or the one that was read last
std::uint32_t PostgresSession::read_bucket(std::string_view unit) const {
  const InterlayRoute& route = *newest_route();
  if (!route.strategy || split_by(*route.strategy) != SplitBy::User) return bucket_;
  if (route.sql_user_fields && !unit.empty()) return bucket_by_field(route);
  if (route.user.from == UserFrom::Comment && !unit.empty()) {
    std::array<char, kCommentedMax> room;
    const auto text = first_text(unit);
    const auto user = text ? commented(*text, route.user.name, room) : std::nullopt;
    if (user) return bucket_of(*user);
  }
  return bucket_of(find_parameter(start_up_, "user").value_or(""));
}

// Of the unit that was read last. Whose a write is does not matter.
std::uint32_t PostgresSession::bucket_by_field(const InterlayRoute& route) const {
  if (reader_.facts().writes) return kNobodysBucket;
  ApiScratch& scratch = interlay_.loop().api_scratch();
  const auto user =
      route.sql_user_fields->user_of(scratch.said, scratch.told, database_hash(), scratch.users);
  return user ? bucket_of(*user) : kNobodysBucket;
}

// Of a unit that was read, and has more to come: who asks for it is not known, and that says where
// it goes.
bool PostgresSession::hangs_on_user(const InterlayRoute& route, const Facts& request) const {
  const bool by_comment = route.user.from == UserFrom::Comment && reader_.facts().parts == 0;
  const bool unknown = route.sql_user_fields || by_comment;
  if (!unknown || request.kind != Kind::Read || request.stays) return false;
  const auto side_at = [&](std::uint32_t bucket) {
    Facts at = request;
    at.bucket_low = at.bucket_high = at.caller_bucket = bucket;
    return plan(*route.strategy, at).answer;
  };
  return side_at(0) != side_at(kNobodysBucket);
}

std::uint64_t PostgresSession::database_hash() const {
  const std::hash<std::string_view> hash;
  return hash(interlay_.id()) * 31 + hash(database_);
}

// Of a statement: its server will tell the type of the parameter that says the user.
void PostgresSession::note_described(std::uint64_t id, const Piece& describe) {
  const auto& fields = newest_route()->sql_user_fields;
  if (!watched_ || !fields) return;
  const auto subject = view_subject(describe.body());
  if (!subject || subject->kind != kStatement) return;
  const auto meaning = state_.meaning(subject->name);
  if (!meaning || meaning->facts == nullptr || !meaning->message.starts_with(from_client::kParse)) {
    return;
  }
  const auto parse = view_parse(meaning->message.substr(kHeaderSize));
  if (!parse) return;
  const auto parameter = fields->undeclared({meaning->facts, parse->text, parse->types},
                                            database_hash(), loop().api_scratch().users);
  if (!parameter) return;
  server().holds.asked.push({id, Asked::What::Described, {}, parameter->bits()});
}

void PostgresSession::note_told_type(const Asked& asked, char type, std::string_view body) {
  if (type != from_server::kParameterDescription) return;
  loop().api_scratch().told.tell(ParameterAt::of(asked.serial), body);
}

}  // namespace crossfade::postgres
