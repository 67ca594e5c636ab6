// Copies under way: whose reply is whose, and when a transaction is finished.
#include "proxy/postgres/shadow_leg.h"

#include <doctest/doctest.h>

#include <string>

#include "protocols/postgres/types.h"

namespace crossfade::postgres {

namespace {

// A whole message of a server, and what it is told as.
struct Told {
  std::string bytes;
  Piece piece() const { return {bytes[0], bytes.size(), 0, bytes}; }
};

Told message(char type, const std::string& body) {
  std::string bytes(1, type);
  const auto length = static_cast<std::uint32_t>(body.size() + 4);
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(length >> shift);
  return {bytes + body};
}

const Told kDone = message(from_server::kCommandComplete, std::string("INSERT 0 1\0", 11));
const Told kOther = message(from_server::kCommandComplete, std::string("INSERT 0 2\0", 11));
const Told kReady = message(from_server::kReadyForQuery, "I");

void answer(ShadowLeg& leg, Side side, std::uint64_t id, const Told& told = kDone) {
  CHECK(leg.on_piece(side, id, told.piece(), 7) == 0);
  leg.on_piece(side, id, kReady.piece(), 7);
}

// One Query that is a transaction.
void copy(ShadowLeg& leg, std::uint64_t old_id, std::uint64_t new_id) {
  leg.begin();
  leg.begin_unit(How::Exact, 5);
  leg.sent(old_id, new_id);
  leg.end();
}

Compared compared(const CopiedTransaction& copied) {
  return compare(copied.digests[0], copied.digests[1], How::Exact);
}

}  // namespace

TEST_CASE("shadow leg: a transaction is finished when both have answered all of it") {
  for (const Side first : {Side::Old, Side::New}) {
    ShadowLeg leg;
    leg.begin();
    for (const std::uint64_t id : {10u, 11u}) {
      leg.begin_unit(How::Exact, 5);
      leg.sent(id, id - 9);
    }
    const auto id_at = [&](Side side, std::uint64_t n) { return (side == Side::Old ? 10 : 1) + n; };
    for (const std::uint64_t n : {0u, 1u}) answer(leg, first, id_at(first, n));
    CHECK(leg.finished() == nullptr);
    for (const std::uint64_t n : {0u, 1u}) answer(leg, other(first), id_at(other(first), n));
    CHECK(leg.finished() == nullptr);  // there may be more of it
    leg.end();
    REQUIRE(leg.finished() != nullptr);
    CHECK(compared(*leg.finished()).same());
    leg.pop();
    CHECK(leg.empty());
  }
}

TEST_CASE("shadow leg: one side may be many transactions ahead of the other") {
  constexpr std::uint64_t kMany = 100;
  ShadowLeg leg;
  for (std::uint64_t n = 1; n <= kMany; ++n) copy(leg, 2 * n, n);
  for (std::uint64_t n = 1; n <= kMany; ++n) answer(leg, Side::Old, 2 * n);
  for (std::uint64_t n = 1; n <= kMany; ++n) {
    CHECK(leg.finished() == nullptr);
    answer(leg, Side::New, n, n % 10 == 0 ? kOther : kDone);
    REQUIRE(leg.finished() != nullptr);
    CHECK(compared(*leg.finished()).same() == (n % 10 != 0));
    leg.pop();
  }
  CHECK(leg.empty());
}

TEST_CASE("shadow leg: replies to what was not copied are nobody's") {
  ShadowLeg leg;
  answer(leg, Side::Old, 1);
  copy(leg, 5, 1);
  answer(leg, Side::Old, 3, kOther);
  copy(leg, 9, 2);
  answer(leg, Side::Old, 5);
  answer(leg, Side::Old, 7, kOther);
  answer(leg, Side::Old, 9);
  for (const std::uint64_t id : {1u, 2u}) {
    answer(leg, Side::New, id);
    REQUIRE(leg.finished() != nullptr);
    CHECK(compared(*leg.finished()).same());
    leg.pop();
  }
  answer(leg, Side::New, 3);
  CHECK(leg.empty());
}

TEST_CASE("shadow leg: a Sync that COPY has eaten is answered with the next") {
  ShadowLeg leg;
  leg.begin();
  for (const std::uint64_t id : {1u, 2u}) {
    leg.begin_unit(How::Exact, 5);
    leg.sent(id, id);
  }
  leg.end();
  for (const Side side : {Side::Old, Side::New}) answer(leg, side, 2);
  CHECK(leg.finished() != nullptr);
}

TEST_CASE("shadow leg: the weakest of its units says how strictly a transaction is compared") {
  ShadowLeg leg;
  leg.begin();
  leg.begin_unit(How::Multiset, 5);
  leg.sent(1, 1);
  leg.weaken(How::ShapeOnly);
  leg.weaken(How::Exact);
  CHECK(leg.current()->how == How::ShapeOnly);
  answer(leg, Side::Old, 1);
  answer(leg, Side::New, 1, kOther);
  leg.end();
  REQUIRE(leg.finished() != nullptr);
  CHECK(compared(*leg.finished()).same());
}

TEST_CASE("shadow leg: what was dropped leaves nothing behind") {
  ShadowLeg leg;
  for (std::uint64_t n = 1; n <= 3; ++n) copy(leg, n, n);
  answer(leg, Side::Old, 1, kOther);
  CHECK(leg.drop_all() == 3);
  CHECK(leg.empty());
  answer(leg, Side::Old, 2, kOther);
  copy(leg, 4, 1);
  answer(leg, Side::Old, 3, kOther);
  answer(leg, Side::New, 1);
  answer(leg, Side::Old, 4);
  REQUIRE(leg.finished() != nullptr);
  CHECK(compared(*leg.finished()).same());
}

TEST_CASE("shadow leg: statements are kept up to their limit, tables each once") {
  CopiedTransaction copied;
  SqlFacts facts;
  facts.written = {{"", "t"}, {"s", "u"}};
  for (int n = 0; n < 200; ++n) copied.say("update t set n = 1", facts);
  CHECK(copied.said.size() <= kSaidMax + 2);
  CHECK(copied.tables == std::vector<std::string>{"t", "s.u"});
  SqlFacts begin;
  begin.strongest = SqlClass::Transaction;
  CopiedTransaction other_one;
  other_one.say("begin", begin);
  CHECK(other_one.said.empty());
}

TEST_CASE("shadow leg: only what is copied with its transaction is on new, too") {
  ShadowLeg leg;
  leg.note_change();
  CHECK(leg.there != leg.version);
  leg.now = ShadowLeg::Now::Copied;
  leg.note_change();
  CHECK(leg.there == leg.version);
  leg.now = ShadowLeg::Now::Left;
  leg.note_change();
  CHECK(leg.there != leg.version);
}

}  // namespace crossfade::postgres
