// The ledger's file: what an older crossfade has written is read.
#include "control/ledger/ledger_file.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <string>

#include "../bench.h"
#include "control/ledger/ledger.h"

namespace crossfade {

namespace {

// As the first schema had it.
constexpr const char* kBeforePairs = R"sql(
  CREATE TABLE ledgers (number INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE,
    open INTEGER NOT NULL);
  CREATE TABLE reasons (
    number INTEGER NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (number, reason)) WITHOUT ROWID;
  CREATE TABLE servers (
    number INTEGER NOT NULL, place TEXT NOT NULL, endpoint TEXT NOT NULL, run_id TEXT NOT NULL,
    PRIMARY KEY (number, place)) WITHOUT ROWID;
  CREATE TABLE entries (
    number INTEGER NOT NULL, seq INTEGER NOT NULL, db INTEGER NOT NULL, key BLOB NOT NULL,
    doubt INTEGER NOT NULL, right_side INTEGER NOT NULL, first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL, version INTEGER NOT NULL, attempts INTEGER NOT NULL,
    last_error TEXT NOT NULL, PRIMARY KEY (number, seq)) WITHOUT ROWID;
  INSERT INTO ledgers VALUES (3, 'uuid-m', 0);
  INSERT INTO entries VALUES (3, 41, 2, 'k', 1, 1, 1000, 2000, 7, 0, '');
  PRAGMA application_id = 1128680519;
  PRAGMA user_version = 1;
)sql";

void sql(const std::string& path, const char* statements) {
  sqlite3* connection = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &connection) == SQLITE_OK);
  CHECK(sqlite3_exec(connection, statements, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(connection);
}

}  // namespace

TEST_CASE(
    "ledger file: entries of before there were pairs may be of any, and new ones of their own") {
  TempFolder folder;
  const std::string path = folder.file("l");
  sql(path, kBeforePairs);
  {
    auto file = LedgerFile::open(path);
    REQUIRE(file.ok());
    const auto entries = file->entries(3, 0, 10);
    REQUIRE(entries.ok());
    REQUIRE(entries->size() == 1);
    CHECK(entries->front().at == SuspectKey{2, "k", 0});
    CHECK(entries->front().right == Side::New);
    LedgerEntry another = entries->front();
    another.seq = 42;
    another.at.pair = ~std::uint64_t{0} - 1;  // as a hash may be: more than SQLite's integers
    REQUIRE(file->write({.heads = {}, .puts = {{3, another}}, .removals = {}}).ok());
  }
  Ledger ledger({});
  REQUIRE(ledger.open(path).ok());
  ledger.take_up({{"uuid-m", "m"}});
  ledger.set_pairs("uuid-m", {5, ~std::uint64_t{0} - 1});
  CHECK(ledger.right_of("m", 5, 2, "k") == Side::New);
  REQUIRE(ledger.page("uuid-m", 41, 10).size() == 1);
  CHECK(ledger.page("uuid-m", 41, 10).front().at.pair == ~std::uint64_t{0} - 1);
  ledger.stop(Ledger::End::Clean);
}

}  // namespace crossfade
