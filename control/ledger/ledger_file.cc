// The SQL of the ledger.
#include "control/ledger/ledger_file.h"

#include <iterator>

#include "control/store/database_file.h"

namespace crossfade {

namespace {

constexpr const char* kCreate = R"sql(
  BEGIN IMMEDIATE;
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
    last_error TEXT NOT NULL, pair INTEGER NOT NULL, PRIMARY KEY (number, seq)) WITHOUT ROWID;
  PRAGMA application_id = 1128680519;
  PRAGMA user_version = 2;
  COMMIT;
)sql";

// Of 1 to 2: entries of then may be of any pair of servers.
constexpr const char* kUpgrades[] = {
    "BEGIN IMMEDIATE; ALTER TABLE entries ADD COLUMN pair INTEGER NOT NULL DEFAULT 0;"
    " PRAGMA user_version = 2; COMMIT"};
static_assert(std::size(kUpgrades) == kLedgerSchema - 1);

constexpr DatabaseKind kLedgerKind{
    .application_id = 1128680519,  // "CFLG"
    .schema = kLedgerSchema,
    .create = kCreate,
    .upgrades = kUpgrades,
    .word = "ledger file",
    .without_it =
        "to start without it: migrations that write to both sides then say that they "
        "need full verification",
};

std::uint64_t whole(const Sqlite::Cell& cell) { return static_cast<std::uint64_t>(cell.number); }

// A value that this version does not know is taken for one that claims least.
Doubt doubt_of(std::int64_t stored) {
  return stored >= 0 && stored < std::int64_t{kDoubts} ? static_cast<Doubt>(stored)
                                                       : Doubt::Unanswered;
}

LedgerEntry entry_of(Sqlite::Row& row) {
  return {.at = {static_cast<std::int32_t>(row[1].number), std::move(row[2].text), whole(row[10])},
          .doubt = doubt_of(row[3].number),
          .right = row[4].number == 0 ? Side::Old : Side::New,
          .seq = whole(row[0]),
          .first_at_ms = row[5].number,
          .last_at_ms = row[6].number,
          .version = whole(row[7]),
          .attempts = static_cast<std::uint32_t>(row[8].number),
          .place = 0,
          .last_error = std::move(row[9].text)};
}

}  // namespace

Result<LedgerFile> LedgerFile::open(const std::string& path) {
  auto sqlite = open_database(path, kLedgerKind);
  if (!sqlite) return sqlite.error();
  return LedgerFile(std::move(*sqlite));
}

Result<std::vector<LedgerHead>> LedgerFile::heads() {
  auto rows = sqlite_.query("SELECT number, uuid, open FROM ledgers ORDER BY number");
  if (!rows) return rows.error();
  std::vector<LedgerHead> heads;
  for (Sqlite::Row& row : *rows) {
    LedgerHead& head = heads.emplace_back(
        LedgerHead{row[0].number, std::move(row[1].text), row[2].number != 0, {}, {}});
    auto reasons = sqlite_.query("SELECT at, reason FROM reasons WHERE number = ?1 ORDER BY at",
                                 {head.number});
    if (!reasons) return reasons.error();
    for (Sqlite::Row& reason : *reasons) {
      head.reasons.push_back({reason[0].number, std::move(reason[1].text)});
    }
    auto servers = sqlite_.query("SELECT endpoint, place, run_id FROM servers WHERE number = ?1",
                                 {head.number});
    if (!servers) return servers.error();
    for (Sqlite::Row& server : *servers) {
      head.servers.push_back(
          {std::move(server[0].text), std::move(server[1].text), std::move(server[2].text), {}});
    }
  }
  return heads;
}

Result<std::vector<LedgerEntry>> LedgerFile::entries(std::int64_t ledger, std::uint64_t after,
                                                     std::uint32_t limit) {
  auto rows = sqlite_.query(
      "SELECT seq, db, key, doubt, right_side, first_at, last_at, version, attempts, last_error,"
      " pair FROM entries WHERE number = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
      {ledger, Sqlite::as_number(after), std::int64_t{limit}});
  if (!rows) return rows.error();
  std::vector<LedgerEntry> entries;
  entries.reserve(rows->size());
  for (Sqlite::Row& row : *rows) entries.push_back(entry_of(row));
  return entries;
}

Status LedgerFile::put_head(const LedgerHead& head) {
  if (Status status = sqlite_.run("INSERT OR REPLACE INTO ledgers VALUES (?1, ?2, ?3)",
                                  {head.number, head.uuid, std::int64_t{head.open ? 1 : 0}});
      !status) {
    return status;
  }
  for (const char* sql :
       {"DELETE FROM reasons WHERE number = ?1", "DELETE FROM servers WHERE number = ?1"}) {
    if (Status status = sqlite_.run(sql, {head.number}); !status) return status;
  }
  for (const LedgerReason& reason : head.reasons) {
    if (Status status = sqlite_.run("INSERT OR IGNORE INTO reasons VALUES (?1, ?2, ?3)",
                                    {head.number, reason.text, reason.at_ms});
        !status) {
      return status;
    }
  }
  for (const LedgerServer& server : head.servers) {
    if (Status status = sqlite_.run("INSERT OR REPLACE INTO servers VALUES (?1, ?2, ?3, ?4)",
                                    {head.number, server.place, server.endpoint, server.run_id});
        !status) {
      return status;
    }
  }
  return success();
}

Status LedgerFile::put_entry(const Batch::Put& put) {
  static const std::string kPut =
      "INSERT OR REPLACE INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
  const LedgerEntry& entry = put.entry;
  return sqlite_.run(kPut,
                     {put.number, Sqlite::as_number(entry.seq), std::int64_t{entry.at.db},
                      Sqlite::Blob{entry.at.key}, static_cast<std::int64_t>(entry.doubt),
                      static_cast<std::int64_t>(entry.right), entry.first_at_ms, entry.last_at_ms,
                      Sqlite::as_number(entry.version), std::int64_t{entry.attempts},
                      std::string_view(entry.last_error), Sqlite::as_number(entry.at.pair)});
}

Result<bool> LedgerFile::drop(std::int64_t ledger) {
  if (Status status = sqlite_.run(
          "DELETE FROM entries WHERE number = ?1 AND seq <= (SELECT max(seq) FROM (SELECT seq FROM"
          " entries WHERE number = ?1 ORDER BY seq LIMIT ?2))",
          {ledger, std::int64_t{kDropSlice}});
      !status) {
    return status.error();
  }
  auto rest = sqlite_.query("SELECT 1 FROM entries WHERE number = ?1 LIMIT 1", {ledger});
  if (!rest) return rest.error();
  if (!rest->empty()) return false;
  for (const char* sql :
       {"DELETE FROM reasons WHERE number = ?1", "DELETE FROM servers WHERE number = ?1",
        "DELETE FROM ledgers WHERE number = ?1"}) {
    if (Status status = sqlite_.run(sql, {ledger}); !status) return status.error();
  }
  return true;
}

Result<bool> LedgerFile::write_all(const Batch& batch) {
  static const std::string kRemove = "DELETE FROM entries WHERE number = ?1 AND seq = ?2";
  for (const LedgerHead& head : batch.heads) {
    if (Status status = put_head(head); !status) return status.error();
  }
  for (const Batch::Put& put : batch.puts) {
    if (Status status = put_entry(put); !status) return status.error();
  }
  for (const Batch::Removal& removal : batch.removals) {
    if (Status status = sqlite_.run(kRemove, {removal.number, Sqlite::as_number(removal.seq)});
        !status) {
      return status.error();
    }
  }
  return batch.drop == 0 ? Result<bool>(true) : drop(batch.drop);
}

Result<bool> LedgerFile::write(const Batch& batch) {
  if (const Status status = sqlite_.run("BEGIN IMMEDIATE"); !status) return status.error();
  auto written = write_all(batch);
  if (written) {
    const Status status = sqlite_.run("COMMIT");
    if (status) return written;
    written = status.error();
  }
  // After some failures SQLite has rolled back by itself; then this one's failure says nothing new.
  [[maybe_unused]] const Status rolled_back = sqlite_.run("ROLLBACK");
  return written;
}

}  // namespace crossfade
