// Up to the message that ends the unit, or to where more of it cannot be awaited.
#include "protocols/postgres/unit.h"

#include <algorithm>

#include "protocols/postgres/types.h"

namespace crossfade::postgres {
namespace {

bool is_data(char type) {
  return type == from_client::kCopyData || type == from_client::kCopyDone ||
         type == from_client::kCopyFail;
}

Unit::What what_is(char type) {
  switch (type) {
    case from_client::kQuery:
    case from_client::kFunctionCall:
      return Unit::What::Query;
    case from_client::kTerminate:
      return Unit::What::Farewell;
    default:
      return is_data(type) ? Unit::What::Data : Unit::What::Segment;
  }
}

// Whether the unit has its last message in this one.
bool closes(const Unit& unit, char type) {
  return ends_unit(type) || type == from_client::kTerminate || unit.what != Unit::What::Segment;
}

}  // namespace

UnitCut cut_unit(std::string_view bytes, std::size_t segment_max) {
  MessageCutter cutter(Stream::Client, segment_max);
  Unit unit{0, Unit::What::Segment, Unit::End::Open};
  while (true) {
    const std::string_view rest = bytes.substr(unit.size);
    if (const std::size_t common = common_size(rest); common > 0) {
      const char type = rest[0];
      if (unit.size == 0) unit.what = what_is(type);
      unit.size += common;
      if (closes(unit, type)) {
        unit.end = Unit::End::Closed;
        return unit;
      }
      if (type == from_client::kFlush || unit.size > segment_max) return unit;
      continue;
    }
    const Cut cut = cutter.next(rest);
    if (const auto* more = std::get_if<NeedMore>(&cut)) {
      if (unit.size == 0) return *more;
      if (bytes.size() > segment_max) return unit;
      unit.end = Unit::End::Unfinished;
      unit.at_least = more->at_least;
      return unit;
    }
    if (const auto* broken = std::get_if<Broken>(&cut)) {
      return unit.size > 0 ? UnitCut(unit) : UnitCut(*broken);
    }
    const Piece& piece = std::get<Piece>(cut);
    if (unit.size == 0) unit.what = what_is(piece.type);
    unit.size += piece.bytes.size();
    if (!piece.last()) return unit;
    if (closes(unit, piece.type)) {
      unit.end = Unit::End::Closed;
      return unit;
    }
    if (piece.type == from_client::kFlush || unit.size > segment_max) return unit;
  }
}

}  // namespace crossfade::postgres
