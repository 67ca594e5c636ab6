// What every store must be, whatever is behind it. A new implementation is one more type in STORES.
#include <doctest/doctest.h>

#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../temp_folder.h"
#include "control/store/state_file.h"
#include "control/store/store.h"

namespace crossfade {

namespace {

using std::chrono::milliseconds;

// A store that one process has after the other, and its clock.
class OfStateFile {
 public:
  OfStateFile() { reopen(); }
  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  // The process ends without a farewell, and the next one has it.
  void reopen() {
    store_.reset();
    auto store = StateFile::open(folder_.file("s.db"), 2'000, [this] { return now_ms_; });
    REQUIRE_MESSAGE(store.ok(), (store.ok() ? "" : store.error().message()));
    store_ = std::move(*store);
  }
  void pass(std::int64_t time_ms) { now_ms_ += time_ms; }

 private:
  TempFolder folder_;
  std::int64_t now_ms_ = 0;
  std::unique_ptr<StateFile> store_;
};

#define STORES OfStateFile

Document numbered(int number, const std::string& body) {
  return {"endpoint", "uuid-" + std::to_string(number), "id-" + std::to_string(number), body};
}

Changes putting(std::vector<Document> documents, std::optional<std::uint64_t> epoch = {}) {
  return {.put = std::move(documents), .remove = {}, .events = {}, .epoch = epoch};
}

Event event(const std::string& migration, const std::string& reason) {
  return {.seq = 0,
          .migration = migration,
          .at = "t",
          .actor = "a",
          .from = "x",
          .to = "y",
          .reason = reason};
}

template <class Made>
Revision must(const Made& made) {
  REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message()));
  return made.value();
}

// What a watch has told.
struct Told {
  std::vector<std::pair<Revision, Changes>> changes;
  std::mutex mutex;

  Store::Watcher watcher() {
    return [this](Revision revision, const Changes& changed) {
      const std::lock_guard held(mutex);
      changes.emplace_back(revision, changed);
    };
  }
  std::vector<Revision> revisions() {
    const std::lock_guard held(mutex);
    std::vector<Revision> all;
    for (const auto& [revision, changed] : changes) all.push_back(revision);
    return all;
  }
};

}  // namespace

TEST_CASE_TEMPLATE("store: what was applied is there after opening again, oldest first", Of,
                   STORES) {
  Of store;
  CHECK(store->read()->documents.empty());
  CHECK(store->read()->revision == 0);
  const Revision first = must(store->apply(putting({numbered(2, "b"), numbered(1, "a")}, 7), 0));
  CHECK(first == 1);
  Changes next = putting({numbered(2, "b2"), numbered(3, "c")});
  next.remove = {"uuid-1"};
  const Revision second = must(store->apply(next, first));
  CHECK(second == 2);
  store.reopen();
  const auto stored = store->read();
  REQUIRE(stored.ok());
  CHECK(stored->documents == std::vector<Document>{numbered(2, "b2"), numbered(3, "c")});
  CHECK(stored->epoch == 7);
  CHECK(stored->revision == second);
  CHECK(must(store->apply({}, second)) == 3);  // a change of nothing is one
}

TEST_CASE_TEMPLATE("store: a change from another revision than the last one is none", Of, STORES) {
  Of store;
  must(store->apply(putting({numbered(1, "a")}, 1), 0));
  must(store->apply(putting({numbered(1, "b")}, 2), 1));
  Changes late = putting({numbered(1, "late"), numbered(2, "x")}, 9);
  late.remove = {"uuid-1"};
  late.events = {event("m", "late")};
  for (const Revision seen : {Revision{0}, Revision{1}, Revision{3}, Revision{99}}) {
    const auto refused = store->apply(late, seen);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == Errc::Conflict);
  }
  for (int opened = 0; opened < 2; ++opened) {
    const auto stored = store->read();
    CHECK(stored->documents == std::vector<Document>{numbered(1, "b")});
    CHECK(stored->epoch == 2);
    CHECK(stored->revision == 2);
    CHECK(store->events("m", 0, 9)->empty());
    store.reopen();
  }
}

TEST_CASE_TEMPLATE("store: of those that change the same revision at once one does", Of, STORES) {
  Of store;
  constexpr int kThreads = 4;
  constexpr int kEach = 6;
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([&store] {
      for (int made = 0; made < kEach;) {
        const auto seen = store->read();
        if (!seen) continue;
        const std::string before = seen->documents.empty() ? "0" : seen->documents[0].body;
        const std::string after = std::to_string(std::stoi(before) + 1);
        if (store->apply(putting({numbered(1, after)}), seen->revision).ok()) ++made;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(store->read()->documents[0].body == std::to_string(kThreads * kEach));
  CHECK(store->read()->revision == kThreads * kEach);
}

TEST_CASE_TEMPLATE("store: a change that can not be whole changes nothing", Of, STORES) {
  Of store;
  must(store->apply(putting({numbered(1, "a")}, 1), 0));
  Told told;
  const auto watch = store->watch(1, told.watcher());
  REQUIRE(watch.ok());
  Document twin = numbered(9, "x");
  twin.id = "id-1";  // another resource of that id
  const auto refused = store->apply(putting({numbered(1, "changed"), twin}, 2), 1);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == Errc::Unavailable);
  CHECK(store->read()->documents == std::vector<Document>{numbered(1, "a")});
  CHECK(store->read()->epoch == 1);
  CHECK(store->read()->revision == 1);
  CHECK(told.revisions().empty());
  // And the next change works.
  must(store->apply(putting({numbered(2, "b")}), 1));
}

TEST_CASE_TEMPLATE("store: an id may go to another resource in one change", Of, STORES) {
  Of store;
  must(store->apply(putting({numbered(1, "a")}), 0));
  Document next = numbered(2, "b");
  next.id = "id-1";
  Changes changes = putting({next});
  changes.remove = {"uuid-1"};
  must(store->apply(changes, 1));
  CHECK(store->read()->documents == std::vector<Document>{next});
}

TEST_CASE_TEMPLATE("store: the journal is in order, in pages, and goes behind its migration", Of,
                   STORES) {
  Of store;
  const Document migration{"migration", "m", "id-m", "a"};
  Changes changes = putting({migration, {"migration", "other", "id-other", "b"}});
  for (int i = 0; i < 12; ++i) {
    changes.events.push_back(event(i % 2 == 0 ? "m" : "other", std::to_string(i)));
  }
  must(store->apply(changes, 0));
  auto first = store->events("m", 0, 4);
  REQUIRE(first.ok());
  REQUIRE(first->size() == 4);
  CHECK((*first)[0].reason == "0");
  CHECK((*first)[3].reason == "6");
  auto rest = store->events("m", (*first)[3].seq, 100);
  REQUIRE(rest->size() == 2);
  CHECK((*rest)[1].reason == "10");
  Changes removal;
  removal.remove = {"m"};
  removal.events = {event("m", "deleted")};
  must(store->apply(removal, 1));
  // Put back, it has its journal; gone for good, it has none.
  must(store->apply(putting({migration}), 2));
  CHECK(store->events("m", 0, 100)->size() == 7);
  must(store->apply(removal, 3));
  Changes another;
  another.remove = {"uuid-1"};
  must(store->apply(another, 4));
  CHECK(store->events("m", 0, 100)->empty());
  CHECK(store->events("other", 0, 100)->size() == 6);
}

TEST_CASE_TEMPLATE("store: a journal at its limit loses its oldest lines", Of, STORES) {
  Of store;
  Changes changes;
  for (std::uint32_t i = 0; i < kEventsMax + 5; ++i) {
    changes.events.push_back(event("m", std::to_string(i)));
  }
  must(store->apply(changes, 0));
  const auto events = store->events("m", 0, 2 * kEventsMax);
  REQUIRE(events->size() == kEventsMax);
  CHECK(events->front().reason == "5");
}

TEST_CASE_TEMPLATE("store: a watch tells every change behind its revision, once, in order", Of,
                   STORES) {
  Of store;
  must(store->apply(putting({numbered(1, "a")}), 0));
  const Changes second = putting({numbered(1, "b")}, 5);
  must(store->apply(second, 1));  // before it is watched
  Told told;
  Told late;
  const auto watch = store->watch(1, told.watcher());
  REQUIRE(watch.ok());
  Changes third;
  third.remove = {"uuid-1"};
  third.events = {event("m", "gone")};
  must(store->apply(third, 2));
  CHECK_FALSE(store->apply(third, 2).ok());
  const auto other = store->watch(3, late.watcher());
  REQUIRE(other.ok());
  must(store->apply({}, 3));
  const std::vector<std::pair<Revision, Changes>> expected{{2, second}, {3, third}, {4, {}}};
  CHECK((told.changes == expected));
  CHECK(late.revisions() == std::vector<Revision>{4});
}

TEST_CASE_TEMPLATE("store: a watch has no gap, or is refused", Of, STORES) {
  Of store;
  constexpr Revision kMany = 40;  // more than are kept one by one
  for (Revision revision = 0; revision < kMany; ++revision) must(store->apply({}, revision));
  for (int opened = 0; opened < 2; ++opened) {
    for (Revision after = 0; after <= kMany; ++after) {
      Told told;
      const auto watch = store->watch(after, told.watcher());
      if (!watch) {
        CHECK(watch.error().code == Errc::NotFound);
        REQUIRE(after < kMany);  // the last one can always be watched from
        continue;
      }
      const auto revisions = told.revisions();
      REQUIRE(revisions.size() == kMany - after);
      for (std::size_t i = 0; i < revisions.size(); ++i) CHECK(revisions[i] == after + 1 + i);
    }
    Told told;
    CHECK_FALSE(store->watch(kMany + 1, told.watcher()).ok());
    store.reopen();
  }
}

TEST_CASE_TEMPLATE("store: changes of many threads are told in the order of revisions", Of,
                   STORES) {
  Of store;
  Told told;
  const auto watch = store->watch(0, told.watcher());
  REQUIRE(watch.ok());
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([&store] {
      for (int made = 0; made < 5;) {
        const auto seen = store->read();
        if (seen.ok() && store->apply({}, seen->revision).ok()) ++made;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto revisions = told.revisions();
  REQUIRE(revisions.size() == 20);
  for (std::size_t i = 0; i < revisions.size(); ++i) CHECK(revisions[i] == i + 1);
}

TEST_CASE_TEMPLATE("store: a watch that was let go is told nothing any more", Of, STORES) {
  Of store;
  Told told;
  auto watch = store->watch(0, told.watcher());
  REQUIRE(watch.ok());
  must(store->apply({}, 0));
  watch->reset();
  must(store->apply({}, 1));
  CHECK(told.revisions() == std::vector<Revision>{1});
}

TEST_CASE_TEMPLATE("store: a watcher may read what it is told of", Of, STORES) {
  Of store;
  Revision seen = 0;
  const auto watch = store->watch(0, [&](Revision, const Changes&) {
    const auto stored = store->read();
    if (stored.ok()) seen = stored->revision;
  });
  REQUIRE(watch.ok());
  must(store->apply({}, 0));
  CHECK(seen == 1);
}

TEST_CASE_TEMPLATE("store: a lease is one holder's until it is given back or expires", Of, STORES) {
  Of store;
  auto lease = store->lease("window", milliseconds(1'000));
  REQUIRE(lease.ok());
  CHECK((*lease)->held());
  const auto refused = store->lease("window", milliseconds(1'000));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == Errc::Conflict);
  CHECK(store->lease("another", milliseconds(1'000)).ok());
  SUBCASE("given back") { lease->reset(); }
  SUBCASE("expired") {
    store.pass(999);
    CHECK((*lease)->held());
    CHECK_FALSE(store->lease("window", milliseconds(1'000)).ok());
    store.pass(1);
    CHECK_FALSE((*lease)->held());
  }
  auto next = store->lease("window", milliseconds(1'000));
  REQUIRE(next.ok());
  CHECK((*next)->held());
}

TEST_CASE_TEMPLATE("store: a lease that is renewed in time lasts, and one that was lost stays so",
                   Of, STORES) {
  Of store;
  auto lease = store->lease("window", milliseconds(1'000));
  REQUIRE(lease.ok());
  for (int i = 0; i < 10; ++i) {
    store.pass(900);
    REQUIRE((*lease)->renew().ok());
    CHECK_FALSE(store->lease("window", milliseconds(1'000)).ok());
  }
  store.pass(1'000);
  SUBCASE("nobody has it") {}
  SUBCASE("another one had it meanwhile") {
    CHECK(store->lease("window", milliseconds(1'000)).ok());
  }
  const Status lost = (*lease)->renew();
  REQUIRE_FALSE(lost.ok());
  CHECK(lost.error().code == Errc::Conflict);
  CHECK_FALSE((*lease)->held());
  auto next = store->lease("window", milliseconds(1'000));
  REQUIRE(next.ok());
  lease->reset();  // what was lost is not given back in another one's name
  CHECK((*next)->held());
  CHECK_FALSE(store->lease("window", milliseconds(1'000)).ok());
}

TEST_CASE_TEMPLATE("store: of many that ask for a lease at once one has it", Of, STORES) {
  Of store;
  std::mutex mutex;
  std::vector<std::unique_ptr<Lease>> leases;
  std::vector<std::thread> threads;
  for (int number = 0; number < 8; ++number) {
    threads.emplace_back([&] {
      auto lease = store->lease("window", milliseconds(1'000));
      const std::lock_guard held(mutex);
      if (lease.ok()) leases.push_back(std::move(*lease));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(leases.size() == 1);
}

}  // namespace crossfade
