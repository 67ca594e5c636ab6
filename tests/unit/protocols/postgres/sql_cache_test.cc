// The cache: bounded in bytes, and what is asked for stays.
#include <doctest/doctest.h>

#include <string>

#include "protocols/postgres/sql_cache.h"

namespace crossfade::postgres {
namespace {

constexpr std::size_t kRoom = 20'000;

std::shared_ptr<const SqlFacts> some_facts(std::uint32_t statements = 1) {
  SqlFacts facts;
  facts.statements = statements;
  return std::make_shared<const SqlFacts>(facts);
}

std::string text_of(int i) { return "SELECT " + std::to_string(i); }

TEST_CASE("sql cache: finds what was put, by exactly its text") {
  SqlCache cache(kRoom);
  CHECK(cache.find("SELECT 1") == nullptr);
  cache.put("SELECT 1", some_facts(7));
  cache.put("", some_facts(8));
  REQUIRE(cache.find("SELECT 1") != nullptr);
  CHECK((*cache.find("SELECT 1"))->statements == 7);
  REQUIRE(cache.find("") != nullptr);
  CHECK((*cache.find(""))->statements == 8);
  CHECK(cache.find("SELECT 1 ") == nullptr);
  CHECK(cache.find("select 1") == nullptr);
}

TEST_CASE("sql cache: never holds more bytes than its limit, and lets go no more than it must") {
  SqlCache cache(kRoom);
  cache.put(text_of(1000), some_facts());
  const std::size_t one = cache.bytes();
  for (int i = 1001; i < 3000; ++i) {
    cache.put(text_of(i), some_facts());
    CHECK(cache.bytes() <= kRoom);
  }
  CHECK(cache.size() == kRoom / one);
  CHECK(cache.find(text_of(2999)) != nullptr);
  CHECK(cache.find(text_of(1000)) == nullptr);
}

TEST_CASE("sql cache: what is asked for again and again outlives a flood") {
  SqlCache cache(kRoom);
  cache.put("kept", some_facts(5));
  for (int i = 0; i < 5000; ++i) {
    cache.put(text_of(i), some_facts());
    REQUIRE(cache.find("kept") != nullptr);
  }
  CHECK((*cache.find("kept"))->statements == 5);
}

TEST_CASE("sql cache: of what comes once nothing is kept, and what comes again soon is") {
  SqlCache cache(kRoom);
  const auto facts = some_facts(6);
  for (int i = 0; i < 5000; ++i) cache.put_again(text_of(i), facts);
  CHECK(cache.size() == 0);
  CHECK(facts.use_count() == 1);
  cache.put_again("again", facts);
  CHECK(cache.find("again") == nullptr);
  cache.put_again("again", facts);
  REQUIRE(cache.find("again") != nullptr);
  CHECK(*cache.find("again") == facts);
  CHECK(cache.find("again ") == nullptr);
}

TEST_CASE("sql cache: what comes again counts as all else, and goes as that does") {
  SqlCache cache(kRoom);
  for (int i = 0; i < 5000; ++i) {
    for (int times = 0; times < 2; ++times) cache.put_again(text_of(i), some_facts());
    CHECK(cache.bytes() <= kRoom);
  }
  CHECK(cache.size() > 1);
  CHECK(cache.find(text_of(4999)) != nullptr);
  CHECK(cache.find(text_of(0)) == nullptr);
}

TEST_CASE("sql cache: what fits exactly is kept, one byte more is not") {
  SqlCache measured(kRoom);
  measured.put("SELECT 1", some_facts());
  const std::size_t weight = measured.bytes();
  SqlCache exact(weight);
  exact.put("SELECT 1", some_facts());
  CHECK(exact.find("SELECT 1") != nullptr);
  exact.put("SELECT 2", some_facts());
  CHECK(exact.find("SELECT 1") == nullptr);
  CHECK(exact.find("SELECT 2") != nullptr);
  SqlCache tight(weight - 1);
  tight.put("SELECT 1", some_facts());
  CHECK(tight.size() == 0);
  CHECK(tight.find("SELECT 1") == nullptr);
}

TEST_CASE("sql cache: facts that are held elsewhere stay when the cache lets go") {
  SqlCache cache(kRoom);
  cache.put("SELECT 1", some_facts(9));
  const std::shared_ptr<const SqlFacts> held = *cache.find("SELECT 1");
  cache.clear();
  CHECK(cache.find("SELECT 1") == nullptr);
  CHECK(cache.bytes() == 0);
  CHECK(held->statements == 9);
}

TEST_CASE("sql cache: long facts weigh more than short ones") {
  SqlFacts facts;
  const std::size_t empty = weight_of(facts);
  facts.read.push_back({"", std::string(1000, 'x')});
  facts.steps.push_back({0, SessionStep{.what = SessionStep::What::Prepare,
                                        .name = "p",
                                        .text = std::string(2000, 'x'),
                                        .inner = some_facts()}});
  CHECK(weight_of(facts) > empty + 3000 + weight_of(*some_facts()));
}

}  // namespace
}  // namespace crossfade::postgres
