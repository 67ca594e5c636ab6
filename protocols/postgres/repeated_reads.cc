// Messages put together anew, with names taken off.
#include "protocols/postgres/repeated_reads.h"

#include "protocols/postgres/builder.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/message.h"
#include "protocols/postgres/types.h"

namespace crossfade::postgres {
namespace {

// BEGIN, COMMIT and the like, one in a query: what it began or ended is repeated as one
// transaction.
bool only_bounds(const SqlFacts& facts) {
  return facts.strongest == SqlClass::Transaction && facts.statements == 1 && !facts.writes &&
         facts.pins.empty();
}

}  // namespace

bool RepeatedReads::takes(const SqlFacts& facts) {
  if (state_ == State::Lost || only_bounds(facts)) return false;
  if (facts.only_reads()) return true;
  lose();
  return false;
}

void RepeatedReads::query(std::string_view body, const SqlFacts& facts) {
  if (!takes(facts)) return;
  const auto text = view_query(body);
  if (!text || messages_.size() + kHeaderSize + body.size() > bytes_max_) return lose();
  append_query(messages_, *text);
  hows_.push_back(how_of(facts));
}

void RepeatedReads::execute(std::string_view parse, std::string_view bind, std::uint32_t rows_max,
                            const SqlFacts& facts) {
  if (!takes(facts)) return;
  const auto statement = view_parse(parse);
  const auto names = view_bind(bind);
  constexpr std::size_t kAround = 64;  // headers, Describe, Execute, Sync
  if (!statement || !names ||
      messages_.size() + kAround + parse.size() + bind.size() > bytes_max_) {
    return lose();
  }
  MessageBuilder(messages_, from_client::kParse)
      .text("")
      .text(statement->text)
      .u16(static_cast<std::uint16_t>(statement->type_count()))
      .bytes(statement->types);
  MessageBuilder(messages_, from_client::kBind)
      .text("")
      .text("")
      .bytes(bind.substr(names->portal.size() + names->statement.size() + 2));
  append_describe(messages_, kPortal, "");
  MessageBuilder(messages_, from_client::kExecute).text("").u32(rows_max);
  append_sync(messages_);
  hows_.push_back(how_of(facts));
}

void RepeatedReads::lose() {
  clear();
  state_ = State::Lost;
}

void RepeatedReads::clear() {
  messages_.clear();
  hows_.clear();
  state_ = State::Repeatable;
}

std::size_t turns_of(std::string_view messages) {
  std::size_t turns = 0;
  MessageCutter cutter(Stream::Client);
  while (!messages.empty()) {
    const Cut cut = cutter.next(messages);
    const auto* const piece = std::get_if<Piece>(&cut);
    if (piece == nullptr) break;
    const bool turn = piece->type == from_client::kQuery || piece->type == from_client::kSync ||
                      piece->type == from_client::kFunctionCall;
    if (piece->first() && turn) ++turns;
    messages.remove_prefix(piece->bytes.size());
  }
  return turns;
}

}  // namespace crossfade::postgres
