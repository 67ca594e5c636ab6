// The state file: what it has accepted survives whatever ends the process; what it does not know it
// leaves alone. What it is as a store: store_contract_test.cc.
#include "control/store/state_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "../failing_sync.h"
#include "../no_room.h"
#include "../temp_folder.h"

// SQLite finds this one before that of the C library.
extern "C" __attribute__((visibility("default"))) int fdatasync(int descriptor) {
  if (crossfade::syncs_to_fail > 0) {
    --crossfade::syncs_to_fail;
    errno = EIO;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fdatasync, descriptor));
}

namespace crossfade {

std::atomic<int> syncs_to_fail = 0;

namespace {

std::unique_ptr<StateFile> open(const std::string& path) {
  auto store = StateFile::open(path);
  REQUIRE_MESSAGE(store.ok(), (store.ok() ? "" : store.error().message()));
  return std::move(*store);
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

void sql(const std::string& path, const std::string& statement) {
  sqlite3* connection = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &connection) == SQLITE_OK);
  CHECK(sqlite3_exec(connection, statement.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(connection);
}

Document document(int number, const std::string& body) {
  return {"endpoint", "uuid-" + std::to_string(number), "id-" + std::to_string(number), body};
}

// From whatever revision it is at.
Result<Revision> change(Store& store, const Changes& changes) {
  const auto stored = store.read();
  if (!stored) return stored.error();
  return store.apply(changes, stored->revision);
}

std::string refusal(const std::string& path) {
  const auto store = StateFile::open(path);
  if (store.ok()) return "opened";
  CHECK(store.error().code == Errc::BadConfig);
  return store.error().message();
}

}  // namespace

TEST_CASE("state file: a new file is empty and readable by its owner only") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  auto store = open(path);
  const auto stored = store->read();
  REQUIRE(stored.ok());
  CHECK(stored.value().documents.empty());
  CHECK(stored.value().epoch == 0);
  for (const char* suffix : {"", "-wal", ".lock"}) {
    struct stat status {};
    CAPTURE(suffix);
    REQUIRE(stat((path + suffix).c_str(), &status) == 0);
    CHECK((status.st_mode & 0077) == 0);
  }
}

TEST_CASE("state file: a file that is not ours is refused with what to do, and left as it was") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  write_file(path, "these are somebody's notes, not a database at all");
  const std::string before = bytes_of(path);
  CHECK(refusal(path).find("it is not a crossfade state file; it was left as it is") !=
        std::string::npos);
  CHECK(bytes_of(path) == before);

  const std::string foreign = folder.file("foreign.db");
  sql(foreign, "CREATE TABLE recipes (name TEXT)");
  const std::string foreign_before = bytes_of(foreign);
  CHECK(refusal(foreign).find("it belongs to another program") != std::string::npos);
  CHECK(bytes_of(foreign) == foreign_before);
}

TEST_CASE("state file: a file of a newer version is refused and left as it was") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  open(path);
  sql(path, "PRAGMA user_version = 4");
  const std::string before = bytes_of(path);
  CHECK(refusal(path).find("newer crossfade (schema 4, this one knows 3)") != std::string::npos);
  CHECK(bytes_of(path) == before);
}

namespace {

// As crossfade made them before there were revisions: schema 1 and 2 have the same tables.
constexpr const char* kBeforeRevisions = R"sql(
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
  INSERT INTO facts VALUES ('epoch', 41);
  INSERT INTO documents VALUES ('uuid-1', 'endpoint', 'id-1', '{}', 1);
  INSERT INTO events VALUES (7, 'm', 'then', 'a', 'x', 'y', 'why');
  INSERT INTO tallies VALUES ('m', 'i', 12, 0);
  PRAGMA application_id = 1128682324;
)sql";

}  // namespace

TEST_CASE("state file: a file of an older version keeps what it has, and becomes one of this") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  std::string schema;
  SUBCASE("1") { schema = "1"; }
  SUBCASE("2") { schema = "2"; }
  sql(path, kBeforeRevisions);
  sql(path, "PRAGMA user_version = " + schema);
  for (int opened = 0; opened < 2; ++opened) {
    auto store = open(path);
    const auto stored = store->read();
    REQUIRE(stored.ok());
    CHECK(stored->documents == std::vector<Document>{document(1, "{}")});
    CHECK(stored->epoch == 41);
    CHECK(stored->revision == 1);
    CHECK(store->events("m", 0, 9)->size() == 1);
    CHECK(store->tallies().value() == std::vector<Tally>{{"m", "i", 12, false}});
  }
  CHECK(*open(path)->apply({}, 1) == 2);
  CHECK(open(path)->read()->revision == 2);
}

TEST_CASE(
    "state file: tallies are this sidecar's, change no revision, and go with what they are of") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  const std::vector<Tally> tallies{{"m", "i", 12, false}, {"n", "j", 3, true}};
  REQUIRE(open(path)->save_tallies(tallies).ok());
  auto store = open(path);
  CHECK(store->tallies().value() == tallies);
  CHECK(store->read()->revision == 0);
  REQUIRE(change(*store, {.put = {}, .remove = {"m"}, .events = {}, .epoch = {}}).ok());
  CHECK(store->tallies().value() == std::vector<Tally>{{"n", "j", 3, true}});
  REQUIRE(change(*store, {.put = {}, .remove = {"j"}, .events = {}, .epoch = {}}).ok());
  CHECK(store->tallies()->empty());
}

TEST_CASE("state file: a damaged file is refused and left as it was") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  {
    auto store = open(path);
    Changes changes;
    for (int i = 0; i < 200; ++i) changes.put.push_back(document(i, std::string(500, 'x')));
    REQUIRE(change(*store, changes).ok());
  }
  sql(path, "PRAGMA journal_mode = DELETE");
  std::string bytes = bytes_of(path);
  REQUIRE(bytes.size() > 40'000);
  for (std::size_t at = 8192; at < 40'000; ++at) bytes[at] = static_cast<char>(at * 7);
  write_file(path, bytes);
  CHECK(refusal(path).find("damaged") != std::string::npos);
  CHECK(bytes_of(path) == bytes);

  write_file(path, bytes.substr(0, 5000));  // cut off
  CHECK(refusal(path).find("it was left as it is") != std::string::npos);
}

TEST_CASE("state file: a folder, a missing folder and a forbidden place are refused") {
  TempFolder folder;
  CHECK_FALSE(StateFile::open(folder.file("")).ok());
  const auto missing = StateFile::open(folder.file("no/such/s.db"));
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().message().find("No such file or directory; its folder must exist") !=
        std::string::npos);
}

TEST_CASE("state file: one that has lost what it had is not taken for a new one") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  const std::string copy = folder.file("copy.db");
  {
    auto store = open(path);
    REQUIRE(
        change(*store, {.put = {document(1, "a")}, .remove = {}, .events = {}, .epoch = {}}).ok());
    std::filesystem::copy_file(path + "-wal", copy + "-wal");
  }
  for (const bool is_there : {false, true}) {
    CAPTURE(is_there);
    if (is_there) write_file(copy, "");
    const std::string wal = bytes_of(copy + "-wal");
    REQUIRE_FALSE(wal.empty());
    CHECK(refusal(copy).find("it is missing or empty, and " + copy + "-wal is not") !=
          std::string::npos);
    CHECK(bytes_of(copy + "-wal") == wal);
  }
  write_file(path + "-ledger", "x");
  for (const char* suffix : {"", "-wal"}) std::filesystem::remove(path + suffix);
  CHECK(refusal(path).find("s.db-ledger is not, so what it had is lost") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("state file: two processes can not have one file, by whatever name they call it") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  auto store = open(path);
  REQUIRE(symlink(path.c_str(), folder.file("link.db").c_str()) == 0);
  REQUIRE(link(path.c_str(), folder.file("hard.db").c_str()) == 0);
  for (const std::string& name : {path, folder.file("link.db"), folder.file("./s.db")}) {
    CAPTURE(name);
    const auto second = StateFile::open(name, 0);
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().code == Errc::Conflict);
    CHECK(second.error().message().find("process " + std::to_string(getpid()) + " is using it") !=
          std::string::npos);
  }
  const auto refused_by_itself = [](const std::string& name) {
    const auto second = StateFile::open(name, 0);
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().code == Errc::Conflict);
    CHECK(second.error().message().find("calls it by another name") != std::string::npos);
  };
  refused_by_itself(folder.file("hard.db"));
  std::filesystem::remove(path + ".lock");
  refused_by_itself(path);
  store.reset();
  CHECK(StateFile::open(path).ok());
}

TEST_CASE(
    "state file: after kill -9 at any instant, every change that was reported is whole, and the "
    "next is "
    "whole or absent") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  std::uint64_t reported_before = 0;
  for (int round = 0; round < 8; ++round) {
    std::array<int, 2> channel{};
    REQUIRE(pipe2(channel.data(), O_CLOEXEC) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      // Writes pairs that must always be equal, and reports each number once it is applied.
      auto store = StateFile::open(path);
      if (!store) _exit(1);
      for (std::uint64_t n = reported_before + 1;; ++n) {
        const std::string text = std::to_string(n);
        const auto status = change(**store, {.put = {document(1, text), document(2, text)},
                                             .remove = {},
                                             .events = {},
                                             .epoch = n});
        if (!status.ok() || write(channel[1], &n, sizeof n) != sizeof n) _exit(1);
      }
    }
    close(channel[1]);
    std::uint64_t reported = 0;
    const int changes_to_see = 3 + 5 * round;
    for (int i = 0; i < changes_to_see; ++i) {
      REQUIRE(read(channel[0], &reported, sizeof reported) == sizeof reported);
    }
    kill(child, SIGKILL);
    while (read(channel[0], &reported, sizeof reported) == sizeof reported) {
    }
    waitpid(child, nullptr, 0);
    close(channel[0]);

    auto stored = open(path)->read();
    REQUIRE(stored.ok());
    REQUIRE(stored->documents.size() == 2);
    CHECK(stored->documents[0].body == stored->documents[1].body);
    CHECK(stored->epoch >= reported);
    CHECK(stored->epoch <= reported + 1);
    CHECK(stored->documents[0].body == std::to_string(stored->epoch));
    reported_before = stored->epoch;
  }
}

TEST_CASE("state file: when the disk is full nothing is changed, and later writes work again") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  auto store = open(path);
  REQUIRE(change(*store, {.put = {document(1, "a")}, .remove = {}, .events = {}, .epoch = 1}).ok());
  // A limit on file size is the same to SQLite as a full disk; the signal it brings is ignored.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 64 * 1024;
  setrlimit(RLIMIT_FSIZE, &small);
  const auto status = change(
      *store,
      {.put = {document(1, std::string(200'000, 'x'))}, .remove = {}, .events = {}, .epoch = 2});
  setrlimit(RLIMIT_FSIZE, &before);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == Errc::Unavailable);
  auto stored = store->read();
  REQUIRE(stored.ok());
  CHECK(stored->documents[0].body == "a");
  CHECK(stored->epoch == 1);
  CHECK(change(*store, {.put = {document(1, "b")}, .remove = {}, .events = {}, .epoch = 3}).ok());
}

TEST_CASE("state file: it says why it takes nothing, until it takes something") {
  const TempFolder folder;
  auto store = open(folder.file("s.db"));
  const auto put = [&] {
    return change(*store, {.put = {document(1, "a")}, .remove = {}, .events = {}, .epoch = {}});
  };
  CHECK_FALSE(store->failure().has_value());
  {
    const NoRoom no_room;
    CHECK_FALSE(store->try_to_write().ok());
    CHECK(store->failure().has_value());
    CHECK_FALSE(put().ok());
    CHECK(store->failure() == put().error().reason);
  }
  SUBCASE("a change") { CHECK(put().ok()); }
  SUBCASE("what was counted") { CHECK(store->save_tallies({}).ok()); }
  SUBCASE("a try, which changes nothing") {
    const Revision revision = store->read()->revision;
    CHECK(store->try_to_write().ok());
    CHECK(store->read()->revision == revision);
  }
  CHECK_FALSE(store->failure().has_value());
  REQUIRE(put().ok());
  CHECK_FALSE(store->apply({}, 77).ok());  // it is no fault of the file
  CHECK_FALSE(store->failure().has_value());
}

TEST_CASE("state file: a change whose sync fails is not made, for the next process either") {
  const TempFolder folder;
  auto store = open(folder.file("s.db"));
  const auto put = [&](const char* body) {
    return change(*store, {.put = {document(1, body)}, .remove = {}, .events = {}, .epoch = {}});
  };
  REQUIRE(put("before").ok());
  syncs_to_fail = 1;
  const auto failed = put("lost");
  CHECK(syncs_to_fail == 0);
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().code == Errc::Unavailable);
  SUBCASE("at once") {}
  SUBCASE("after another one") {
    REQUIRE(put("between").ok());
    REQUIRE(put("before").ok());
  }
  store.reset();
  store = open(folder.file("s.db"));
  CHECK(store->read()->documents[0].body == "before");
  CHECK(put("after").ok());
}

TEST_CASE("state file: while a disk syncs nothing, a change that may be found made says so") {
  const TempFolder folder;
  auto store = open(folder.file("s.db"));
  const auto put = [&](const char* body) {
    return change(*store, {.put = {document(1, body)}, .remove = {}, .events = {}, .epoch = {}});
  };
  REQUIRE(put("before").ok());
  syncs_to_fail = 1'000;
  const auto failed = put("perhaps");
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().code == Errc::System);
  CHECK(failed.error().reason.find("it may be whole in the file all the same") !=
        std::string::npos);
  CHECK(store->read()->documents[0].body == "before");
  // Others are not begun.
  const auto next = put("never");
  REQUIRE_FALSE(next.ok());
  CHECK(next.error().code == Errc::Unavailable);
  syncs_to_fail = 0;
  // What takes its place was written, and not synced: a power cut is needed to find it made.
  std::string expected = "before";
  SUBCASE("the process ends meanwhile") {}
  SUBCASE("the disk is well again") {
    REQUIRE(put("after").ok());
    expected = "after";
  }
  store.reset();
  store = open(folder.file("s.db"));
  CHECK(store->read()->documents[0].body == expected);
}

}  // namespace crossfade
