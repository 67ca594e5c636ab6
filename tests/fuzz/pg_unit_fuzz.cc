// Units and their facts: whatever a client sends, units are whole messages in their order, wherever
// the bytes were split; and what may be made to write is not taken for a read.
//
// An input is a client's stream.
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "protocols/postgres/unit.h"
#include "protocols/postgres/unit_facts.h"
#include "tests/fuzz/fuzz.h"

namespace crossfade::postgres {
namespace {

using fuzz::require;

constexpr std::size_t kSegmentMax = 512;

// Every prefix of a unit's bytes is a part of that unit, or asks for more of it.
void check_prefixes(std::string_view unit) {
  const std::size_t step = std::max<std::size_t>(1, unit.size() / 16);
  for (std::size_t size = 0; size < unit.size(); size += step) {
    const UnitCut cut = cut_unit(unit.substr(0, size), kSegmentMax);
    if (const auto* const more = std::get_if<NeedMore>(&cut)) {
      require(more->at_least > 0, "what is missing is something");
    } else if (const auto* const part = std::get_if<Unit>(&cut)) {
      require(part->size > 0 && part->size <= size, "a part is of the bytes that are there");
      require(part->end != Unit::End::Closed, "a unit does not end before its end");
    }
  }
}

void check_facts(UnitReader& reader, SqlClassifier& classifier, std::string_view unit) {
  reader.begin(classifier, SqlReading::Standard);
  MessageCutter cutter(Stream::Client, kSegmentMax);
  for (std::size_t at = 0; at < unit.size();) {
    const Cut cut = cutter.next(unit.substr(at));
    const auto* const piece = std::get_if<Piece>(&cut);
    if (piece == nullptr) break;
    if (piece->first()) reader.on_message(*piece);
    at += piece->bytes.size();
  }
  const UnitFacts& facts = reader.facts();
  require(!facts.only_reads || !facts.writes, "what writes does not only read");
  require(!facts.opens_read_only || !facts.works_read_only, "a read-only block does nothing else");
  require(!facts.only_reads || !facts.changes_session, "what only reads leaves the session alone");
}

void check(std::string_view bytes) {
  static SqlClassifier classifier(SqlCatalog::built_in(), {.sql_cache_max = 64 << 10});
  SessionState state;
  UnitReader reader(state);
  while (!bytes.empty()) {
    const UnitCut cut = cut_unit(bytes, kSegmentMax);
    const auto* const unit = std::get_if<Unit>(&cut);
    if (unit == nullptr) return;
    require(unit->size > 0 && unit->size <= bytes.size(), "a unit is of the bytes that are there");
    if (unit->end == Unit::End::Closed) check_prefixes(bytes.substr(0, unit->size));
    check_facts(reader, classifier, bytes.substr(0, unit->size));
    if (unit->end != Unit::End::Closed) return;  // what follows may begin within a message
    bytes.remove_prefix(unit->size);
  }
}

}  // namespace
}  // namespace crossfade::postgres

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  crossfade::postgres::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
