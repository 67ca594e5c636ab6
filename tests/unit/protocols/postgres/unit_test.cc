// Units: where each ends, and that it never hangs on how its bytes arrived.
#include "protocols/postgres/unit.h"

#include <doctest/doctest.h>

#include "protocols/postgres/frontend.h"
#include "tests/unit/protocols/postgres/bytes.h"

namespace crossfade::postgres {
namespace {

constexpr std::size_t kMax = 1000;

std::string query(const std::string& text = "SELECT 1") { return message('Q', text + raw("\0")); }
const std::string kParse = message('P', raw("s\0SELECT 1\0\0\0"));
const std::string kBind = message('B', raw("\0s\0\0\0\0\0\0\0"));
const std::string kSync = message('S');
const std::string kFlush = message('H');

Unit unit_of(const std::string& bytes, std::size_t segment_max = kMax) {
  // A copy of its own size: reading beyond it is seen by the address sanitizer.
  const std::vector<char> copy(bytes.begin(), bytes.end());
  const UnitCut cut = cut_unit({copy.data(), copy.size()}, segment_max);
  REQUIRE(std::holds_alternative<Unit>(cut));
  return std::get<Unit>(cut);
}

TEST_CASE("unit: a Query, a FunctionCall and a segment are one each, whatever follows") {
  for (const std::string& bytes :
       {query(), message('F', "anything"), kParse + kBind + kSync, kSync, kParse + query()}) {
    const Unit unit = unit_of(bytes + query() + kSync);
    CHECK(unit.size == bytes.size());
    CHECK(unit.end == Unit::End::Closed);
    CHECK(unit.what ==
          (bytes[0] == 'Q' || bytes[0] == 'F' ? Unit::What::Query : Unit::What::Segment));
  }
}

TEST_CASE("unit: data of a COPY is a unit by itself, and so is the farewell") {
  for (const char type : {'d', 'c', 'f'}) {
    const std::string bytes = message(type, raw("x\0"));
    const Unit unit = unit_of(bytes + kSync);
    CHECK(unit.size == bytes.size());
    CHECK(unit.what == Unit::What::Data);
    CHECK(unit.end == Unit::End::Closed);
  }
  const Unit unit = unit_of(message('X') + query());
  CHECK(unit.size == kHeaderSize);
  CHECK(unit.what == Unit::What::Farewell);
}

TEST_CASE("unit: a Flush leaves its segment open") {
  const Unit unit = unit_of(kParse + kFlush + kBind + kSync);
  CHECK(unit.size == kParse.size() + kFlush.size());
  CHECK(unit.end == Unit::End::Open);
  CHECK(unit.what == Unit::What::Segment);
}

TEST_CASE("unit: every prefix asks for more, or is whole messages of an unfinished segment") {
  const std::string bytes = kParse + kBind + kSync;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string prefix = bytes.substr(0, size);
    const UnitCut cut = cut_unit(prefix, kMax);
    if (size < kParse.size()) {
      REQUIRE(std::holds_alternative<NeedMore>(cut));
      const std::size_t more = std::get<NeedMore>(cut).at_least;
      CHECK(more > 0);
      CHECK(size + more <= kParse.size());
      continue;
    }
    const Unit unit = std::get<Unit>(cut);
    CHECK(unit.size ==
          (size < kParse.size() + kBind.size() ? kParse.size() : kParse.size() + kBind.size()));
    CHECK(unit.end == Unit::End::Unfinished);
    CHECK(unit.at_least > 0);
    CHECK(size + unit.at_least <= bytes.size());
  }
}

TEST_CASE("unit: a segment of the limit is awaited, one of a byte more is not") {
  const std::string bytes = kParse + kBind;
  CHECK(unit_of(bytes, bytes.size()).end == Unit::End::Unfinished);
  CHECK(unit_of(bytes, bytes.size() - 1).end == Unit::End::Open);
  // A message of its own is handed on in parts beyond the limit.
  const std::string longer = query(std::string(kMax, 'x'));
  const Unit begun = unit_of(longer.substr(0, kMax + kHeaderSize), kMax);
  CHECK(begun.end == Unit::End::Open);
  CHECK(begun.what == Unit::What::Query);
}

TEST_CASE("unit: what is no message is told when it is the first, and ends a segment before it") {
  const std::string garbage = raw("\1\2\3\4\5\6\7");
  CHECK(std::holds_alternative<Broken>(cut_unit(garbage, kMax)));
  const Unit unit = unit_of(kParse + garbage);
  CHECK(unit.size == kParse.size());
  CHECK(unit.end == Unit::End::Open);
}

}  // namespace
}  // namespace crossfade::postgres
