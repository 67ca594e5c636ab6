// Who the user of a unit is, for strategies that give a share of the users.
#include <array>

#include "protocols/postgres/commented.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"
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
std::uint32_t PostgresSession::read_bucket(std::string_view unit) const {
  const InterlayRoute& route = *newest_route();
  if (!route.strategy || split_by(*route.strategy) != SplitBy::User) return bucket_;
  if (route.user.from == UserFrom::Comment && !unit.empty()) {
    std::array<char, kCommentedMax> room;
    const auto text = first_text(unit);
    const auto user = text ? commented(*text, route.user.name, room) : std::nullopt;
    if (user) return bucket_of(*user);
  }
  return bucket_of(find_parameter(start_up_, "user").value_or(""));
}

}  // namespace crossfade::postgres
