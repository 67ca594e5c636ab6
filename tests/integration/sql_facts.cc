// What the classifier makes of statements, by a real server's catalog: a program for tests.
//
//   sql_facts CATALOG <STATEMENTS     CATALOG: the rows of --query, each field ending in a zero
//   byte;
//                                     STATEMENTS: each ending in a zero byte
//   sql_facts --query                 prints what to ask the server
//
// Prints a line for each statement: class, then what of these holds: reads writes drawn sided
// pinned unlisted.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "protocols/postgres/sql_catalog_learn.h"
#include "protocols/postgres/sql_classify.h"

namespace crossfade::postgres {
namespace {

std::vector<std::string> pieces_of(std::istream& from) {
  const std::string all((std::istreambuf_iterator<char>(from)), {});
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find('\0', at), all.size());
    pieces.push_back(all.substr(at, end - at));
    at = end + 1;
  }
  return pieces;
}

void print(const SqlFacts& facts) {
  std::string line = name_of(facts.strongest);
  if (facts.only_reads()) line += " reads";
  if (facts.writes) line += " writes";
  if (!facts.deterministic) line += " drawn";
  if (facts.sided) line += " sided";
  if (!facts.pins.empty()) line += " pinned";
  if (!facts.writes_listed) line += " unlisted";
  std::puts(line.c_str());
}

int run(const char* catalog_file) {
  std::ifstream file(catalog_file, std::ios::binary);
  const std::vector<std::string> fields = pieces_of(file);
  if (fields.empty() || fields.size() % 5 != 0) {
    std::fprintf(stderr, "%s: %zu fields\n", catalog_file, fields.size());
    return 2;
  }
  std::vector<SqlCatalogRow> rows;
  for (std::size_t i = 0; i < fields.size(); i += 5) {
    rows.push_back({fields[i], fields[i + 1], fields[i + 2], fields[i + 3], fields[i + 4]});
  }
  const auto catalog = learn_sql_catalog(rows, {});
  if (!catalog) {
    std::fprintf(stderr, "%s\n", catalog.error().message().c_str());
    return 1;
  }
  SqlClassifier classifier(catalog.value());
  for (const std::string& sql : pieces_of(std::cin)) {
    print(*classifier.facts_of(sql, SqlReading::Standard));
  }
  return 0;
}

}  // namespace
}  // namespace crossfade::postgres

int main(int count, char** words) {
  if (count == 2 && std::string(words[1]) == "--query") {
    std::puts(crossfade::postgres::kSqlCatalogQuery);
    return 0;
  }
  return count == 2 ? crossfade::postgres::run(words[1]) : 2;
}
