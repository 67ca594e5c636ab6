// The store: what it has accepted survives whatever ends the process; what it does not know it
// leaves alone.
#include "control/store/store.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <iterator>
#include <string>

#include "../temp_folder.h"

namespace crossfade {

namespace {

std::unique_ptr<Store> open(const std::string& path) {
  auto store = Store::open(path);
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

std::string refusal(const std::string& path) {
  const auto store = Store::open(path);
  if (store.ok()) return "opened";
  CHECK(store.error().code == Errc::BadConfig);
  return store.error().message();
}

}  // namespace

TEST_CASE("store: a new file is empty and readable by its owner only") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  auto store = open(path);
  const auto stored = store->load();
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

TEST_CASE("store: what was applied is there after opening again, oldest first") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  {
    auto store = open(path);
    REQUIRE(store
                ->apply({.put = {document(2, "b"), document(1, "a")},
                         .remove = {},
                         .events = {},
                         .epoch = 7})
                .ok());
    REQUIRE(store
                ->apply({.put = {document(2, "b2"), document(3, "c")},
                         .remove = {"uuid-1"},
                         .events = {},
                         .epoch = {}})
                .ok());
    REQUIRE(store->save_tallies({{"m", "i", 12, false}}).ok());
  }
  auto stored = open(path)->load();
  REQUIRE(stored.ok());
  CHECK(stored->documents == std::vector<Document>{document(2, "b2"), document(3, "c")});
  CHECK(stored->tallies == std::vector<Tally>{{"m", "i", 12, false}});
  CHECK(stored->epoch == 7);
}

TEST_CASE("store: a change that can not be whole changes nothing") {
  TempFolder folder;
  auto store = open(folder.file("s.db"));
  REQUIRE(store->apply({.put = {document(1, "a")}, .remove = {}, .events = {}, .epoch = 1}).ok());
  Document twin = document(9, "x");
  twin.id = "id-1";  // another resource of that id
  const Status status =
      store->apply({.put = {document(1, "changed"), twin}, .remove = {}, .events = {}, .epoch = 2});
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == Errc::Unavailable);
  auto stored = store->load();
  CHECK(stored->documents == std::vector<Document>{document(1, "a")});
  CHECK(stored->epoch == 1);
  // And the next change works.
  CHECK(store->apply({.put = {document(2, "b")}, .remove = {}, .events = {}, .epoch = {}}).ok());
}

TEST_CASE("store: an id may go to another resource in one change") {
  TempFolder folder;
  auto store = open(folder.file("s.db"));
  REQUIRE(store->apply({.put = {document(1, "a")}, .remove = {}, .events = {}, .epoch = {}}).ok());
  Document next = document(2, "b");
  next.id = "id-1";
  CHECK(store->apply({.put = {next}, .remove = {"uuid-1"}, .events = {}, .epoch = {}}).ok());
}

TEST_CASE("store: the journal is in order, in pages, bounded, and goes with its migration") {
  TempFolder folder;
  auto store = open(folder.file("s.db"));
  Changes changes;
  for (int i = 0; i < 12; ++i) {
    changes.events.push_back({.seq = 0,
                              .migration = i % 2 == 0 ? "m" : "other",
                              .at = "t",
                              .actor = "a",
                              .from = "x",
                              .to = "y",
                              .reason = std::to_string(i)});
  }
  REQUIRE(store->apply(changes).ok());
  auto first = store->events("m", 0, 4);
  REQUIRE(first.ok());
  REQUIRE(first->size() == 4);
  CHECK((*first)[0].reason == "0");
  CHECK((*first)[3].reason == "6");
  auto rest = store->events("m", (*first)[3].seq, 100);
  REQUIRE(rest->size() == 2);
  CHECK((*rest)[1].reason == "10");
  REQUIRE(store->apply({.put = {}, .remove = {"m"}, .events = {}, .epoch = {}}).ok());
  CHECK(store->events("m", 0, 100)->empty());
  CHECK(store->events("other", 0, 100)->size() == 6);
}

TEST_CASE("store: a journal at its limit loses its oldest lines") {
  TempFolder folder;
  auto store = open(folder.file("s.db"));
  Changes changes;
  for (std::uint32_t i = 0; i < kEventsMax + 5; ++i) {
    changes.events.push_back({.seq = 0,
                              .migration = "m",
                              .at = "",
                              .actor = "",
                              .from = "",
                              .to = "",
                              .reason = std::to_string(i)});
  }
  REQUIRE(store->apply(changes).ok());
  auto events = store->events("m", 0, 2 * kEventsMax);
  REQUIRE(events->size() == kEventsMax);
  CHECK(events->front().reason == "5");
}

TEST_CASE("store: a file that is not ours is refused with what to do, and left as it was") {
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

TEST_CASE("store: a file of a newer version is refused and left as it was") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  open(path);
  sql(path, "PRAGMA user_version = 3");
  const std::string before = bytes_of(path);
  CHECK(refusal(path).find("newer crossfade (schema 3, this one knows 2)") != std::string::npos);
  CHECK(bytes_of(path) == before);
}

TEST_CASE("store: a file of an older version keeps what it has, and becomes one of this") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  Changes changes;
  changes.put.push_back(document(1, "{}"));
  REQUIRE(open(path)->apply(changes).ok());
  sql(path, "PRAGMA user_version = 1");
  CHECK(open(path)->load().value().documents == changes.put);
  sql(path, "PRAGMA user_version = 3");
  CHECK(refusal(path).find("this one knows 2") != std::string::npos);
}

TEST_CASE("store: a damaged file is refused and left as it was") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  {
    auto store = open(path);
    Changes changes;
    for (int i = 0; i < 200; ++i) changes.put.push_back(document(i, std::string(500, 'x')));
    REQUIRE(store->apply(changes).ok());
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

TEST_CASE("store: a folder, a missing folder and a forbidden place are refused") {
  TempFolder folder;
  CHECK_FALSE(Store::open(folder.file("")).ok());
  const auto missing = Store::open(folder.file("no/such/s.db"));
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().message().find("No such file or directory") != std::string::npos);
}

TEST_CASE("store: two processes can not have one file, by whatever name they call it") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  auto store = open(path);
  REQUIRE(symlink(path.c_str(), folder.file("link.db").c_str()) == 0);
  for (const std::string& name : {path, folder.file("link.db"), folder.file("./s.db")}) {
    CAPTURE(name);
    const auto second = Store::open(name, 0);
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().code == Errc::Conflict);
    CHECK(second.error().message().find("process " + std::to_string(getpid()) + " is using it") !=
          std::string::npos);
  }
  store.reset();
  CHECK(Store::open(path).ok());
}

TEST_CASE(
    "store: after kill -9 at any instant, every change that was reported is whole, and the next is "
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
      auto store = Store::open(path);
      if (!store) _exit(1);
      for (std::uint64_t n = reported_before + 1;; ++n) {
        const std::string text = std::to_string(n);
        const Status status = (*store)->apply({.put = {document(1, text), document(2, text)},
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

    auto stored = open(path)->load();
    REQUIRE(stored.ok());
    REQUIRE(stored->documents.size() == 2);
    CHECK(stored->documents[0].body == stored->documents[1].body);
    CHECK(stored->epoch >= reported);
    CHECK(stored->epoch <= reported + 1);
    CHECK(stored->documents[0].body == std::to_string(stored->epoch));
    reported_before = stored->epoch;
  }
}

TEST_CASE("store: when the disk is full nothing is changed, and later writes work again") {
  TempFolder folder;
  const std::string path = folder.file("s.db");
  auto store = open(path);
  REQUIRE(store->apply({.put = {document(1, "a")}, .remove = {}, .events = {}, .epoch = 1}).ok());
  // A limit on file size is the same to SQLite as a full disk; the signal it brings is ignored.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 64 * 1024;
  setrlimit(RLIMIT_FSIZE, &small);
  const Status status = store->apply(
      {.put = {document(1, std::string(200'000, 'x'))}, .remove = {}, .events = {}, .epoch = 2});
  setrlimit(RLIMIT_FSIZE, &before);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == Errc::Unavailable);
  auto stored = store->load();
  REQUIRE(stored.ok());
  CHECK(stored->documents[0].body == "a");
  CHECK(stored->epoch == 1);
  CHECK(store->apply({.put = {document(1, "b")}, .remove = {}, .events = {}, .epoch = 3}).ok());
}

}  // namespace crossfade
