// A book: what is noted is found, in order, once at a time, and never beyond its limits.
#include "control/ledger/book.h"

#include <doctest/doctest.h>

namespace crossfade {

namespace {

Suspect suspect(const std::string& key, Side right = Side::Old, std::int32_t db = 0) {
  return {.at = {db, key}, .doubt = Doubt::Unanswered, .right = right};
}

std::vector<std::string> keys_of(const std::vector<LedgerEntry>& entries) {
  std::vector<std::string> keys;
  for (const LedgerEntry& entry : entries) keys.push_back(entry.at.key);
  return keys;
}

// A book whose versions and times count up by themselves.
struct Clerk {
  Book book;
  BookLimits limits;
  std::uint64_t version = 0;

  Book::Noted note(const Suspect& at) {
    ++version;
    return book.note(at, static_cast<std::int64_t>(1'000 * version), version, limits);
  }
  std::vector<LedgerEntry> due(std::int64_t now = 0, std::size_t max = 100) {
    std::vector<LedgerEntry> entries;
    book.due(now, max, entries);
    return entries;
  }
  Book::Settled settle(const LedgerEntry& entry, RepairOutcome outcome, std::uint32_t places = 1) {
    return book.settle(entry.at, entry.version, outcome, "why", places,
                       [](std::uint32_t attempts) { return std::int64_t{10} * attempts; });
  }
};

}  // namespace

TEST_CASE("book: a key is found in its own database only, whatever its bytes") {
  Clerk clerk;
  const std::string odd("\0\xff key", 6);
  clerk.note(suspect(odd, Side::Old, 3));
  clerk.note(suspect("", Side::Old, kDefaultDb));
  CHECK(clerk.book.suspects(3, odd));
  CHECK_FALSE(clerk.book.suspects(0, odd));
  CHECK_FALSE(clerk.book.suspects(3, odd.substr(0, 5)));
  CHECK(clerk.book.suspects(kDefaultDb, ""));
  CHECK_FALSE(clerk.book.suspects(0, ""));
}

TEST_CASE("book: a row is not the table of its name") {
  Clerk clerk;
  clerk.note(suspect("t (id=7)", Side::Old, kRowsDb));
  CHECK(clerk.book.suspects(kRowsDb, "t (id=7)"));
  CHECK_FALSE(clerk.book.suspects(kDefaultDb, "t (id=7)"));
}

TEST_CASE("book: rows leave room for tables, and are left out without a word where there is none") {
  Clerk clerk;
  clerk.limits.entries_max = 4;
  for (int row = 0; row < 3; ++row) {
    const auto noted =
        clerk.note(suspect("t (id=" + std::to_string(row) + ")", Side::Old, kRowsDb));
    CHECK(noted.added == (row < 2));
    CHECK(noted.durable == (row == 2));
    CHECK(noted.full == nullptr);
  }
  CHECK(clerk.note(suspect("t", Side::Old, kDefaultDb)).added);
  CHECK(clerk.note(suspect("u", Side::Old, kDefaultDb)).added);
  CHECK(clerk.note(suspect("v", Side::Old, kDefaultDb)).full != nullptr);
  clerk.limits = {.entries_max = 100, .bytes_max = 40};
  CHECK(clerk.note(suspect("far too long", Side::Old, kRowsDb)).durable);
  CHECK(clerk.note(suspect("far too long", Side::Old, kDefaultDb)).added);
}

TEST_CASE("book: the cheap way knows a key that is on disk with the same side, and renews it") {
  Clerk clerk;
  const auto renote = [&](std::int32_t db, Side right) {
    ++clerk.version;
    return clerk.book.renote(db, "k", Doubt::Unsent, right,
                             static_cast<std::int64_t>(1'000 * clerk.version), clerk.version);
  };
  CHECK_FALSE(renote(0, Side::Old));
  CHECK(clerk.book.size() == 0);
  const std::uint64_t seq = clerk.note(suspect("k")).write;
  CHECK_FALSE(renote(0, Side::Old));  // not on disk yet
  CHECK(clerk.book.find(seq)->version == 2);
  clerk.book.written(seq, Side::Old);
  CHECK_FALSE(renote(1, Side::Old));
  CHECK_FALSE(renote(0, Side::New));
  CHECK(clerk.book.right_of(0, "k") == Side::Old);
  const auto task = clerk.due();
  REQUIRE(task.size() == 1);
  CHECK(renote(0, Side::Old));
  const auto entry = clerk.book.find(seq);
  CHECK(entry->version == clerk.version);
  CHECK(entry->last_at_ms == static_cast<std::int64_t>(1'000 * clerk.version));
  CHECK(entry->doubt == Doubt::Unsent);
  CHECK(clerk.book.noted()[static_cast<std::size_t>(Doubt::Unsent)] == 1);
  // A repair that was under way saw what was there before.
  CHECK_FALSE(clerk.settle(task[0], RepairOutcome::Equal).removed);
}

TEST_CASE("book: a key that is on disk is written again only when another side is right") {
  Clerk clerk;
  const std::uint64_t seq = clerk.note(suspect("k")).write;
  REQUIRE(seq != 0);
  CHECK_FALSE(clerk.note(suspect("k")).durable);
  CHECK(clerk.note(suspect("k")).write == 0);  // waits to be written already
  clerk.book.written(seq, Side::Old);
  CHECK(clerk.note(suspect("k")).durable);
  const Book::Noted turned = clerk.note(suspect("k", Side::New));
  CHECK(turned.write == seq);
  CHECK_FALSE(turned.durable);
  clerk.book.written(seq, Side::Old);  // of a commit that began before
  CHECK_FALSE(clerk.note(suspect("k", Side::New)).durable);
  clerk.book.written(seq, Side::New);
  CHECK(clerk.note(suspect("k", Side::New)).durable);
  const auto entry = clerk.book.find(seq);
  REQUIRE(entry.has_value());
  CHECK(entry->version == clerk.version);
  CHECK(entry->first_at_ms == 1'000);
  CHECK(entry->last_at_ms == static_cast<std::int64_t>(1'000 * clerk.version));
}

TEST_CASE("book: it knows how many keys are right on each side, and says when one is turned") {
  Clerk clerk;
  CHECK_FALSE(clerk.note(suspect("k")).turned);
  CHECK_FALSE(clerk.note(suspect("k")).turned);
  clerk.note(suspect("other"));
  CHECK(clerk.book.right_on(Side::Old) == 2);
  CHECK(clerk.note(suspect("k", Side::New)).turned);
  CHECK_FALSE(clerk.note(suspect("k", Side::New)).turned);
  CHECK_FALSE(clerk.note({.at = {0, "k"}, .doubt = Doubt::Verify, .right = Side::Old}).turned);
  CHECK(clerk.book.right_on(Side::Old) == 1);
  CHECK(clerk.book.right_on(Side::New) == 1);
  for (const LedgerEntry& entry : clerk.due()) clerk.settle(entry, RepairOutcome::Equal);
  CHECK(clerk.book.right_on(Side::Old) == 0);
  CHECK(clerk.book.right_on(Side::New) == 0);
}

TEST_CASE("book: a comparison does not say who is right where a write has") {
  Clerk clerk;
  clerk.note(suspect("k", Side::New));
  clerk.note({.at = {0, "k"}, .doubt = Doubt::Verify, .right = Side::Old});
  CHECK(clerk.book.right_of(0, "k") == Side::New);
  CHECK(clerk.book.right_of(0, "other") == std::nullopt);
}

TEST_CASE(
    "book: it takes as many keys and bytes as its limits say, and goes on with those it has") {
  Clerk clerk;
  clerk.limits = {.entries_max = 2, .bytes_max = 100, .key_max = 8};
  CHECK(clerk.note(suspect("123456789")).full != nullptr);
  CHECK(clerk.note(suspect("12345678")).full == nullptr);
  CHECK(clerk.note(suspect("b")).full == nullptr);
  CHECK(clerk.note(suspect("c")).full != nullptr);
  CHECK(clerk.note(suspect("b")).full == nullptr);
  CHECK(clerk.book.size() == 2);
  for (const LedgerEntry& entry : clerk.due()) clerk.settle(entry, RepairOutcome::Equal);
  CHECK(clerk.note(suspect("c")).full == nullptr);
  clerk.limits.bytes_max = 2;
  CHECK(clerk.note(suspect("d")).full == nullptr);
  CHECK(clerk.note(suspect("e")).full != nullptr);
}

TEST_CASE("book: entries are handed out oldest first, and none twice until it is settled") {
  Clerk clerk;
  for (const char* key : {"a", "b", "c"}) clerk.note(suspect(key));
  const auto first = clerk.due(0, 2);
  CHECK(keys_of(first) == std::vector<std::string>{"a", "b"});
  CHECK(keys_of(clerk.due()) == std::vector<std::string>{"c"});
  CHECK(clerk.due().empty());
  CHECK(clerk.settle(first[0], RepairOutcome::Equal).removed);
  CHECK(clerk.settle(first[1], RepairOutcome::Repaired).removed);
  CHECK(clerk.due(1'000).empty());
  CHECK(clerk.book.size() == 1);
  CHECK(clerk.settle(first[0], RepairOutcome::Equal).seq == 0);  // of an entry that is gone
}

TEST_CASE("book: what failed comes back when its time has come, and not before") {
  Clerk clerk;
  clerk.note(suspect("k"));
  const auto first = clerk.due();
  CHECK_FALSE(clerk.settle(first[0], RepairOutcome::Failed).removed);
  CHECK(clerk.due(9).empty());
  const auto second = clerk.due(10);
  REQUIRE(second.size() == 1);
  CHECK(second[0].attempts == 1);
  CHECK(second[0].last_error == "why");
  clerk.settle(second[0], RepairOutcome::Newer);
  CHECK(clerk.due(19).empty());
  CHECK(clerk.due(20).front().attempts == 2);
}

TEST_CASE("book: an entry that was noted again while it was repaired stays, and is due at once") {
  Clerk clerk;
  clerk.note(suspect("k"));
  const auto task = clerk.due();
  clerk.note(suspect("k"));
  CHECK_FALSE(clerk.settle(task[0], RepairOutcome::Equal).removed);
  const auto again = clerk.due();
  REQUIRE(again.size() == 1);
  CHECK(again[0].version > task[0].version);
  CHECK(clerk.settle(again[0], RepairOutcome::Equal).removed);
  // And one that left and came back is not the one that was handed out before.
  clerk.note(suspect("k"));
  const auto fresh = clerk.due();
  CHECK_FALSE(clerk.settle(task[0], RepairOutcome::Equal).removed);
  CHECK(clerk.book.size() == 1);
}

TEST_CASE("book: of a migration with several interlays an entry is looked at for each") {
  Clerk clerk;
  clerk.note(suspect("k"));
  for (std::uint32_t place = 0; place < 3; ++place) {
    const auto task = clerk.due();
    REQUIRE(task.size() == 1);
    CHECK(task[0].place == place);
    CHECK(clerk.settle(task[0], RepairOutcome::Equal, 3).removed == (place == 2));
  }
}

TEST_CASE("book: one that is noted again on its way is looked at for each once more") {
  Clerk clerk;
  clerk.note(suspect("k"));
  clerk.book.written(1, Side::Old);
  CHECK_FALSE(clerk.settle(clerk.due()[0], RepairOutcome::Equal, 2).removed);
  SUBCASE("by the way of all") { clerk.note(suspect("k")); }
  SUBCASE("by the cheap way") {
    const SuspectKey at = suspect("k").at;
    CHECK(clerk.book.renote(at.db, at.key, Doubt::Unanswered, Side::Old, 9'000, ++clerk.version));
  }
  for (std::uint32_t place = 0; place < 2; ++place) {
    const auto task = clerk.due();
    REQUIRE(task.size() == 1);
    CHECK(task[0].place == place);
    CHECK(clerk.settle(task[0], RepairOutcome::Equal, 2).removed == (place == 1));
  }
}

TEST_CASE("book: pages of 10,000 entries miss and repeat none of those that stay") {
  Clerk clerk;
  const auto key = [](int n) { return "key:" + std::to_string(n); };
  for (int n = 0; n < 10'000; ++n) clerk.note(suspect(key(n)));
  std::map<std::string, int> seen;
  std::uint64_t cursor = 0;
  int removed = 0;
  for (int fresh = 10'000; cursor < 10'000; ++fresh) {
    std::vector<LedgerEntry> page;
    clerk.book.page(cursor, 97, page);
    REQUIRE_FALSE(page.empty());
    cursor = page.back().seq;
    for (const LedgerEntry& entry : page) ++seen[entry.at.key];
    // Meanwhile the oldest are settled, others are noted again, and new ones come.
    for (const LedgerEntry& entry : clerk.due(0, 30)) {
      clerk.settle(entry, RepairOutcome::Equal);
      ++removed;
    }
    clerk.note(suspect(key(fresh)));
    clerk.note(suspect(key(9'999)));
  }
  for (int n = removed; n < 10'000; ++n) {
    CAPTURE(n);
    CHECK(seen[key(n)] == 1);
  }
  for (const auto& [name, times] : seen) CHECK(times == 1);
}

}  // namespace crossfade
