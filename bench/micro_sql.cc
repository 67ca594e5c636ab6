// What it costs to know what a query does: from the cache, and from the parser.
//
// Prints nanoseconds of CPU time per query, best and median of several rounds. One thread, no I/O.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "protocols/postgres/sql_catalog_learn.h"
#include "protocols/postgres/sql_classify.h"

namespace crossfade::postgres {
namespace {

constexpr int kRounds = 15;

template <class Operation>
void measure(const char* name, int operations, Operation&& operation) {
  std::array<double, kRounds> rounds;
  for (double& round : rounds) {
    const std::clock_t begin = std::clock();
    for (int i = 0; i < operations; ++i) operation(i);
    const double spent_ns = static_cast<double>(std::clock() - begin) * 1e9 / CLOCKS_PER_SEC;
    round = spent_ns / operations;
  }
  std::sort(rounds.begin(), rounds.end());
  std::printf("%-38s %8.1f ns best %8.1f ns median\n", name, rounds[0], rounds[kRounds / 2]);
}

// The tables of pgbench, as its server tells of them.
std::shared_ptr<const SqlCatalog> pgbench_catalog() {
  constexpr SqlCatalogRow kRows[] = {{"o", "pg_catalog", "=", "is", ""},
                                     {"o", "pg_catalog", "+", "ss", ""},
                                     {"f", "pg_catalog", "count", "is", ""},
                                     {"f", "pg_catalog", "now", "ss", ""},
                                     {"r", "public", "pgbench_accounts", "rn", ""},
                                     {"r", "public", "pgbench_tellers", "rn", ""},
                                     {"r", "public", "pgbench_branches", "rn", ""},
                                     {"r", "public", "pgbench_history", "rn", ""}};
  const auto learned = learn_sql_catalog(kRows, {});
  if (!learned) std::abort();
  return learned.value();
}

void check(const std::shared_ptr<const SqlFacts>& facts, SqlClass expected) {
  if (facts->strongest != expected) std::abort();
}

void measure_hit(const char* name, const std::string& sql, SqlClass expected) {
  SqlClassifier classifier(pgbench_catalog());
  check(classifier.facts_of(sql, SqlReading::Standard), expected);
  measure(name, 200'000, [&](int) {
    if (classifier.facts_of(sql, SqlReading::Standard)->statements != 1) std::abort();
  });
  if (classifier.counts().parsed != 1) std::abort();
}

// Hits spread over many texts: their memory is in no near cache.
void measure_spread() {
  constexpr int kTexts = 4096;
  SqlClassifier classifier(pgbench_catalog());
  std::vector<std::string> texts;
  for (int i = 0; i < kTexts; ++i) {
    texts.push_back(
        "SELECT abalance FROM pgbench_accounts WHERE bid = 7 AND filler = 'a' AND aid = " +
        std::to_string(i * 7919));
    check(classifier.facts_of(texts.back(), SqlReading::Standard), SqlClass::PureRead);
  }
  measure("hit, 4096 texts of 85 bytes in turn", kTexts * 8, [&](int i) {
    const std::string& sql = texts[static_cast<std::size_t>(i * 5 % kTexts)];
    if (classifier.facts_of(sql, SqlReading::Standard)->statements != 1) std::abort();
  });
}

// A simple query holds its values: every one is a text of its own.
void measure_miss(const char* name, const std::string& before, const std::string& after,
                  SqlClass expected) {
  SqlClassifier classifier(pgbench_catalog());
  int serial = 0;
  std::string sql;
  measure(name, 20'000, [&](int) {
    sql.assign(before).append(std::to_string(++serial)).append(after);
    check(classifier.facts_of(sql, SqlReading::Standard), expected);
  });
  if (classifier.counts().hits != 0) std::abort();
}

void measure_all() {
  const std::string read = "SELECT abalance FROM pgbench_accounts WHERE aid = $1";
  const std::string hundred = read + " AND bid = $2 AND filler = $3 AND abalance = 12345678";
  const std::string update = "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2";
  measure_hit("hit, 52 bytes", read, SqlClass::PureRead);
  measure_hit("hit, 105 bytes", hundred, SqlClass::PureRead);
  measure_hit("hit, 66 bytes, update", update, SqlClass::Write);
  measure_hit(
      "hit, 52 bytes and a comment of 80",
      read + " /*application:shop,controller:cart,trace:'00-4bf92f3577b34da6a3ce929d0e0e47'*/",
      SqlClass::PureRead);
  measure_spread();
  measure_miss("miss, pgbench select", "SELECT abalance FROM pgbench_accounts WHERE aid = ", ";",
               SqlClass::PureRead);
  measure_miss("miss, pgbench update",
               "UPDATE pgbench_accounts SET abalance = abalance + 10 WHERE aid = ", ";",
               SqlClass::Write);
  measure_miss("miss, pgbench insert",
               "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 2, ",
               ", 4, CURRENT_TIMESTAMP);", SqlClass::NondeterministicWrite);
  measure_miss("miss, join of three",
               "SELECT a.aid, b.bbalance, count(*) FROM pgbench_accounts a JOIN pgbench_branches b "
               "USING (bid) LEFT JOIN pgbench_tellers t ON t.bid = b.bid WHERE a.aid = ",
               " GROUP BY a.aid, b.bbalance ORDER BY 1", SqlClass::PureRead);
}

}  // namespace
}  // namespace crossfade::postgres

int main() { crossfade::postgres::measure_all(); }
