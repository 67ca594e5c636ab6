// Types of parameters: what was told last counts, and there are never too many.
#include "protocols/postgres/told_types.h"

#include <doctest/doctest.h>

#include "tests/unit/protocols/postgres/bytes.h"

namespace crossfade::postgres {
namespace {

constexpr std::uint64_t kPlace = 0xfedcba9876543210;

TEST_CASE("told types: of the parameter with that number, as far as the message has come") {
  ToldTypes types;
  const std::string body = raw("\0\2\0\0\0\x14\0\0\xb\x86");
  CHECK(types.of({kPlace, 1}) == 0);
  types.tell({kPlace, 1}, body);
  CHECK(types.of({kPlace, 1}) == 20);
  CHECK(types.of({kPlace, 9}) == 20);  // whatever its number
  CHECK(types.of({kPlace + 0x10000, 1}) == 0);
  types.tell({kPlace, 2}, body);
  CHECK(types.of({kPlace, 1}) == 2950);
  for (const ParameterAt none : {ParameterAt(kPlace, 0), ParameterAt(kPlace, 3)}) {
    types.tell(none, body);
  }
  for (std::size_t size = 0; size < 6; ++size) types.tell({kPlace, 1}, body.substr(0, size));
  CHECK(types.of({kPlace, 1}) == 2950);
  CHECK(types.size() == 1);
  const ParameterAt one(kPlace, 65535);
  CHECK(ParameterAt::of(one.bits()).number() == 65535);
  CHECK(ParameterAt::of(one.bits()).place() == ParameterAt(kPlace, 0).place());
}

TEST_CASE("told types: beyond their limit all are told anew") {
  ToldTypes types;
  const std::string body = raw("\0\1\0\0\0\x17");
  for (std::size_t i = 0; i < kToldTypesMax; ++i) types.tell({i << 16, 1}, body);
  CHECK(types.size() == kToldTypesMax);
  types.tell({1 << 16, 1}, body);
  CHECK(types.size() == kToldTypesMax);
  types.tell({kToldTypesMax << 16, 1}, body);
  CHECK(types.size() == 1);
}

}  // namespace
}  // namespace crossfade::postgres
