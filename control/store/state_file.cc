// The SQL of the state file.
#include "control/store/state_file.h"

#include <filesystem>
#include <iterator>
#include <mutex>
#include <set>
#include <utility>

#include "control/store/database_file.h"
#include "control/store/file_lock.h"
#include "control/store/leases.h"
#include "control/store/sqlite.h"
#include "control/store/watches.h"

namespace crossfade {

namespace {

constexpr std::int64_t kApplicationId = 0x43465354;  // "CFST"; in the header of every file of ours

constexpr const char* kCreateState = R"sql(
  BEGIN IMMEDIATE;
  CREATE TABLE documents (
    uuid TEXT PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
    added INTEGER NOT NULL, UNIQUE (kind, id));
  CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, migration TEXT NOT NULL, at TEXT NOT NULL,
    actor TEXT NOT NULL, from_status TEXT NOT NULL, to_status TEXT NOT NULL, reason TEXT NOT NULL);
  CREATE INDEX events_of_migration ON events (migration, seq);
  CREATE TABLE tallies (
    migration TEXT NOT NULL, interlay TEXT NOT NULL, writes INTEGER NOT NULL,
    exact INTEGER NOT NULL, PRIMARY KEY (migration, interlay));
  CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
  INSERT INTO facts VALUES ('epoch', 0), ('revision', 0);
  PRAGMA application_id = 1128682324;
  PRAGMA user_version = 3;
  COMMIT;
)sql";
static_assert(kApplicationId == 1128682324 && kStoreSchema == 3, "as the statement above has them");

// What brings a file of schema i + 1 to the next one. Of 1 to 2 nothing is to be done but to say
// so: an older crossfade would take templates and apis for migrations. Of 2 to 3, what is there is
// the first revision.
constexpr const char* kUpgrades[] = {
    "PRAGMA user_version = 2",
    "BEGIN IMMEDIATE; INSERT INTO facts VALUES ('revision', 1); PRAGMA user_version = 3; COMMIT",
};
static_assert(std::size(kUpgrades) == kStoreSchema - 1);

constexpr DatabaseKind kStateFile{
    .application_id = kApplicationId,
    .schema = kStoreSchema,
    .create = kCreateState,
    .upgrades = kUpgrades,
    .word = "state file",
    .without_it = "to start without any definitions",
};

constexpr const char* kEpoch = "epoch";
constexpr const char* kRevision = "revision";

}  // namespace

struct StateFile::Parts {
  FileLock lock;
  Sqlite sqlite;
  const std::string path;
  Watches watches;
  Leases leases;
  std::mutex mutex = {};          // HTTP threads read events while the writer writes
  bool unsettled = false;         // with the mutex held
  std::mutex failure_mutex = {};  // of its own: who looks waits for no disk
  std::optional<std::string> failure = std::nullopt;

  // With the mutex held.
  Result<std::uint64_t> fact(const char* name) {
    auto rows = sqlite.query("SELECT value FROM facts WHERE name = ?1", {std::string_view(name)});
    if (!rows) return rows.error();
    return rows->empty() ? 0 : static_cast<std::uint64_t>((*rows)[0][0].number);
  }
  Status set_fact(const char* name, std::uint64_t value) {
    return sqlite.run("UPDATE facts SET value = ?2 WHERE name = ?1",
                      {std::string_view(name), Sqlite::as_number(value)});
  }

  // Writes something that was not there before.
  Status count(const char* name) {
    return sqlite.run(
        "INSERT INTO facts VALUES (?1, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1",
        {std::string_view(name)});
  }

  Status put(const Document& document) {
    return sqlite.run(
        "INSERT INTO documents (uuid, kind, id, body, added)"
        " VALUES (?1, ?2, ?3, ?4, (SELECT coalesce(max(added), 0) + 1 FROM documents))"
        " ON CONFLICT (uuid) DO UPDATE SET body = excluded.body",
        {document.uuid, document.kind, document.id, document.body});
  }

  Status remove(const std::string& uuid) {
    for (const char* sql : {"DELETE FROM documents WHERE uuid = ?1",
                            "DELETE FROM tallies WHERE migration = ?1 OR interlay = ?1"}) {
      if (Status status = sqlite.run(sql, {uuid}); !status) return status;
    }
    return success();
  }

  Status append(const Event& event) {
    return sqlite.run(
        "INSERT INTO events (migration, at, actor, from_status, to_status, reason)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        {event.migration, event.at, event.actor, event.from, event.to, event.reason});
  }

  // Those that have journals, and are not there: removed by an earlier change.
  Result<std::vector<Sqlite::Row>> gone() {
    return sqlite.query(
        "SELECT DISTINCT migration FROM events WHERE migration NOT IN (SELECT uuid FROM "
        "documents)");
  }

  // Unless it was put back.
  Status forget_journal(const std::string& migration) {
    return sqlite.run(
        "DELETE FROM events WHERE migration = ?1"
        " AND NOT EXISTS (SELECT 1 FROM documents WHERE uuid = ?1)",
        {migration});
  }

  Status prune(const std::string& migration) {
    return sqlite.run(
        "DELETE FROM events WHERE migration = ?1 AND seq <= (SELECT seq FROM events"
        " WHERE migration = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
        {migration, std::int64_t{kEventsMax}});
  }

  Status apply_all(const Changes& changes, Revision expected) {
    auto revision = fact(kRevision);
    if (!revision) return revision.error();
    if (*revision != expected) {
      return Error{Errc::Conflict, "change the store from revision " + std::to_string(expected),
                   "it is at revision " + std::to_string(*revision)};
    }
    if (Status status = set_fact(kRevision, expected + 1); !status) return status;
    std::vector<Sqlite::Row> gone;
    if (!changes.remove.empty()) {
      auto found = this->gone();
      if (!found) return found.error();
      gone = std::move(*found);
    }
    // Removals first: an id may be given to another resource in the same call.
    for (const std::string& uuid : changes.remove) {
      if (Status status = remove(uuid); !status) return status;
    }
    for (const Document& document : changes.put) {
      if (Status status = put(document); !status) return status;
    }
    for (const Sqlite::Row& migration : gone) {
      if (Status status = forget_journal(migration.front().text); !status) return status;
    }
    std::set<std::string> journals;
    for (const Event& event : changes.events) {
      if (Status status = append(event); !status) return status;
      journals.insert(event.migration);
    }
    for (const std::string& migration : journals) {
      if (Status status = prune(migration); !status) return status;
    }
    return changes.epoch ? set_fact(kEpoch, *changes.epoch) : success();
  }

  Status save_all(const std::vector<Tally>& tallies) {
    if (Status status = sqlite.run("DELETE FROM tallies"); !status) return status;
    for (const Tally& tally : tallies) {
      if (Status status =
              sqlite.run("INSERT INTO tallies VALUES (?1, ?2, ?3, ?4)",
                         {tally.migration, tally.interlay, Sqlite::as_number(tally.writes),
                          std::int64_t{tally.exact ? 1 : 0}});
          !status) {
        return status;
      }
    }
    return success();
  }

  // Writes over what a COMMIT that failed may have left in the log: whole, though not synced, and
  // not seen by this connection, but by whoever opens the file next.
  Status settle() {
    if (!unsettled) return success();
    const Status settled = count("settled");
    if (settled) unsettled = false;
    return settled;
  }

  // Runs `work` in one transaction; whatever fails takes all of it back.
  //   errors  as apply() has them
  template <class Work>
  Status transaction(Work&& work) {
    const std::lock_guard held(mutex);
    Status status = attempt(std::forward<Work>(work));
    const bool refused = !status && status.error().code != Errc::Conflict;
    const std::lock_guard noting(failure_mutex);
    failure = refused ? std::optional(status.error().reason) : std::nullopt;
    return status;
  }

  // With the mutex held.
  template <class Work>
  Status attempt(Work&& work) {
    if (Status status = settle(); !status) return status;
    if (Status status = sqlite.run("BEGIN IMMEDIATE"); !status) return status;
    Status status = work();
    if (status) {
      status = sqlite.run("COMMIT");
      unsettled = !status && sqlite.may_be_written();
    }
    if (status) return status;
    // After some failures SQLite has rolled back by itself; then this one's failure says nothing
    // new.
    [[maybe_unused]] const Status rolled_back = sqlite.run("ROLLBACK");
    if (settle()) return status;
    return Error{
        Errc::System, status.error().doing,
        status.error().reason +
            "; it may be whole in the file all the same, where a process that starts before "
            "the disk takes a change again finds it made. Here it is not made"};
  }
};

StateFile::StateFile(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
StateFile::~StateFile() = default;

std::string StateFile::beside(const char* suffix) const { return parts_->path + suffix; }

Result<std::unique_ptr<StateFile>> StateFile::open(const std::string& given_path,
                                                   std::uint32_t patience_ms,
                                                   MonotonicClock clock) {
  // One file must have one lock, whatever links lead to it.
  std::error_code ignored;
  const std::filesystem::path real = std::filesystem::weakly_canonical(given_path, ignored);
  const std::string path = real.empty() ? given_path : real.string();
  if (Status status = check_not_lost(path, kStateFile, {"-wal", "-ledger"}); !status) {
    return status.error();
  }
  auto lock = FileLock::take(path, patience_ms);
  if (!lock) return lock.error();
  auto sqlite = open_database(path, kStateFile);
  if (!sqlite) return sqlite.error();
  // Before it has grown beyond what is reserved, the log is written from its beginning again.
  (void)sqlite->run("PRAGMA wal_autocheckpoint = 16");  // pages
  auto revision =
      sqlite->query("SELECT value FROM facts WHERE name = ?1", {std::string_view(kRevision)});
  if (!revision) return revision.error();
  if (revision->empty()) {
    return Error{Errc::BadConfig, "open state file " + path,
                 "it has no revision; it was left as it is"};
  }
  const auto now = static_cast<Revision>(revision->front().front().number);
  return std::unique_ptr<StateFile>(
      new StateFile(std::unique_ptr<Parts>(new Parts{.lock = std::move(*lock),
                                                     .sqlite = std::move(*sqlite),
                                                     .path = path,
                                                     .watches = Watches(now),
                                                     .leases = Leases(std::move(clock))})));
}

Result<Stored> StateFile::read() {
  const std::lock_guard held(parts_->mutex);
  Stored stored;
  auto documents =
      parts_->sqlite.query("SELECT kind, uuid, id, body FROM documents ORDER BY added");
  if (!documents) return documents.error();
  for (Sqlite::Row& row : *documents) {
    stored.documents.push_back({std::move(row[0].text), std::move(row[1].text),
                                std::move(row[2].text), std::move(row[3].text)});
  }
  auto epoch = parts_->fact(kEpoch);
  if (!epoch) return epoch.error();
  auto revision = parts_->fact(kRevision);
  if (!revision) return revision.error();
  stored.epoch = *epoch;
  stored.revision = *revision;
  return stored;
}

Result<Revision> StateFile::apply(const Changes& changes, Revision expected) {
  return parts_->watches.change(changes, [&]() -> Result<Revision> {
    const Status status = parts_->transaction([&] { return parts_->apply_all(changes, expected); });
    if (!status) return status.error();
    return expected + 1;
  });
}

Result<std::unique_ptr<Watch>> StateFile::watch(Revision after, Watcher watcher) {
  return parts_->watches.watch(after, std::move(watcher));
}

Result<std::unique_ptr<Lease>> StateFile::lease(const std::string& name,
                                                std::chrono::milliseconds ttl) {
  return parts_->leases.take(name, ttl);
}

Result<std::vector<Tally>> StateFile::tallies() {
  const std::lock_guard held(parts_->mutex);
  auto rows = parts_->sqlite.query("SELECT migration, interlay, writes, exact FROM tallies");
  if (!rows) return rows.error();
  std::vector<Tally> tallies;
  for (Sqlite::Row& row : *rows) {
    tallies.push_back({std::move(row[0].text), std::move(row[1].text),
                       static_cast<std::uint64_t>(row[2].number), row[3].number != 0});
  }
  return tallies;
}

Status StateFile::save_tallies(const std::vector<Tally>& tallies) {
  return parts_->transaction([&] { return parts_->save_all(tallies); });
}

std::optional<std::string> StateFile::failure() const {
  const std::lock_guard held(parts_->failure_mutex);
  return parts_->failure;
}

Status StateFile::try_to_write() {
  return parts_->transaction([&] { return parts_->count("tried"); });
}

Result<std::vector<Event>> StateFile::events(const std::string& migration, std::uint64_t after,
                                             std::uint32_t limit) {
  const std::lock_guard held(parts_->mutex);
  auto rows = parts_->sqlite.query(
      "SELECT seq, at, actor, from_status, to_status, reason FROM events"
      " WHERE migration = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
      {migration, Sqlite::as_number(after), std::int64_t{limit}});
  if (!rows) return rows.error();
  std::vector<Event> events;
  for (Sqlite::Row& row : *rows) {
    events.push_back({.seq = static_cast<std::uint64_t>(row[0].number),
                      .migration = migration,
                      .at = std::move(row[1].text),
                      .actor = std::move(row[2].text),
                      .from = std::move(row[3].text),
                      .to = std::move(row[4].text),
                      .reason = std::move(row[5].text)});
  }
  return events;
}

}  // namespace crossfade
