// Reads to be repeated: all that a transaction has asked and that only reads, or nothing.
#include "protocols/postgres/repeated_reads.h"

#include <doctest/doctest.h>

#include "protocols/postgres/frontend.h"
#include "tests/unit/protocols/postgres/bytes.h"

namespace crossfade::postgres {
namespace {

constexpr std::size_t kMax = 4096;

SqlFacts facts_of(SqlClass sort) {
  SqlFacts facts;
  facts.strongest = sort;
  facts.statements = 1;
  facts.writes = sort >= SqlClass::Write;
  facts.deterministic = sort != SqlClass::VolatileRead;
  return facts;
}
const SqlFacts kRead = facts_of(SqlClass::PureRead);
const SqlFacts kBegin = facts_of(SqlClass::Transaction);

std::vector<std::string> cut(std::string_view bytes) {
  return cut_all(bytes, MessageCutter(Stream::Client), {bytes.size()}).messages;
}

TEST_CASE("repeated reads: queries are kept as they were, BEGIN and COMMIT are not") {
  RepeatedReads reads(kMax);
  reads.query(raw("BEGIN\0"), kBegin);
  reads.query(raw("SELECT 1\0"), kRead);
  reads.query(raw("SELECT random()\0"), facts_of(SqlClass::VolatileRead));
  reads.query(raw("COMMIT\0"), kBegin);
  CHECK(reads.messages() ==
        message('Q', raw("SELECT 1\0")) + message('Q', raw("SELECT random()\0")));
  CHECK(reads.hows() == std::vector<How>{How::Multiset, How::ShapeOnly});
  CHECK(turns_of(reads.messages()) == 2);
}

TEST_CASE("repeated reads: a portal is repeated by its Parse and its Bind, all unnamed") {
  RepeatedReads reads(kMax);
  const std::string parse = raw("stmt\0SELECT $1\0\0\1\0\0\0\x17");
  const std::string bind = raw("portal\0stmt\0\0\1\0\1\0\1\0\0\0\4\0\0\0\7\0\1\0\1");
  reads.execute(parse, bind, 10, kRead);
  CHECK(cut(reads.messages()) ==
        std::vector<std::string>{message('P', raw("\0SELECT $1\0\0\1\0\0\0\x17")),
                                 message('B', raw("\0\0\0\1\0\1\0\1\0\0\0\4\0\0\0\7\0\1\0\1")),
                                 message('D', raw("P\0")), message('E', raw("\0\0\0\0\x0a")),
                                 message('S')});
  CHECK(turns_of(reads.messages()) == 1);
}

TEST_CASE("repeated reads: with anything else in it nothing of a transaction is repeated") {
  for (const SqlClass sort :
       {SqlClass::SessionState, SqlClass::Lock, SqlClass::Copy, SqlClass::Write,
        SqlClass::NondeterministicWrite, SqlClass::Ddl, SqlClass::Unknown}) {
    RepeatedReads reads(kMax);
    reads.query(raw("SELECT 1\0"), kRead);
    reads.query(raw("x\0"), facts_of(sort));
    reads.query(raw("SELECT 1\0"), kRead);
    CHECK(reads.messages().empty());
    CHECK(reads.hows().empty());
    reads.clear();
    reads.query(raw("SELECT 1\0"), kRead);
    CHECK(reads.hows().size() == 1);
  }
}

TEST_CASE("repeated reads: several statements, one of which ends a transaction, are not repeated") {
  SqlFacts facts = kBegin;
  facts.statements = 3;
  RepeatedReads reads(kMax);
  reads.query(raw("BEGIN; SELECT 1; COMMIT\0"), facts);
  reads.query(raw("SELECT 1\0"), kRead);
  CHECK(reads.messages().empty());
}

TEST_CASE("repeated reads: reads that pin a session are not repeated") {
  SqlFacts facts = kRead;
  facts.pins.add(Pin::SessionLock);
  RepeatedReads reads(kMax);
  reads.query(raw("SELECT pg_advisory_lock(1)\0"), facts);
  CHECK(reads.messages().empty());
}

TEST_CASE("repeated reads: what fits is kept, one byte more is not") {
  const std::string body = raw("SELECT 1\0");
  for (const std::size_t spare : {0u, 1u}) {
    RepeatedReads reads(kHeaderSize + body.size() - 1 + spare);
    reads.query(body, kRead);
    CHECK(reads.messages().empty() == (spare == 0));
  }
}

TEST_CASE("repeated reads: what is no message is not repeated") {
  RepeatedReads reads(kMax);
  reads.query("SELECT 1", kRead);
  CHECK(reads.messages().empty());
  reads.clear();
  reads.execute(raw("\0SELECT 1\0"), raw("\0\0\0\0\0\0\0\0"), 0, kRead);
  CHECK(reads.messages().empty());
}

}  // namespace
}  // namespace crossfade::postgres
