// Books: a key is one of its pair of servers, and strays are of any.
#include "control/ledger/books.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace crossfade {

namespace {

constexpr std::uint64_t kOne = 11;
constexpr std::uint64_t kOther = 12;

// Books whose versions count up by themselves.
struct Shelf {
  Books books;
  BookLimits limits;
  std::uint64_t version = 0;

  Shelf() { books.set_pairs({kOne, kOther}); }
  Book::Noted note(std::uint64_t pair, const std::string& key, Side right = Side::Old) {
    const Suspect suspect{.at = {0, key, pair}, .doubt = Doubt::Unsent, .right = right};
    return books.note(suspect, 1'000, ++version, limits);
  }
  // "pair:key" of what is handed out.
  std::vector<std::string> due(std::size_t max, const std::set<std::uint64_t>& resting = {}) {
    handed.clear();
    books.due(0, max, resting, handed);
    std::vector<std::string> said;
    for (const LedgerEntry& entry : handed) {
      said.push_back(std::to_string(entry.at.pair) + ":" + entry.at.key);
    }
    return said;
  }
  void settle(const LedgerEntry& entry, std::uint32_t places = 1) {
    books.settle(entry.at, entry.version, RepairOutcome::Equal, "", places,
                 [](std::uint32_t) { return std::int64_t{0}; });
  }
  std::vector<LedgerEntry> handed;
};

}  // namespace

TEST_CASE("books: one pair's key says nothing of the key of that name at another") {
  Shelf shelf;
  shelf.note(kOne, "k", Side::New);
  CHECK(shelf.books.right_of(kOne, 0, "k") == Side::New);
  CHECK_FALSE(shelf.books.right_of(kOther, 0, "k"));
  const Book::Noted other = shelf.note(kOther, "k", Side::Old);
  CHECK(other.added);
  CHECK_FALSE(other.turned);
  CHECK(shelf.books.right_of(kOne, 0, "k") == Side::New);
  CHECK(shelf.books.right_of(kOther, 0, "k") == Side::Old);
  CHECK(shelf.books.size() == 2);
  CHECK(shelf.books.right_on(Side::New) == 1);
  CHECK_FALSE(shelf.books.renote(kOne, 0, "k", Doubt::Unsent, Side::New, 1, 9));  // not on disk
  shelf.books.written(1, Side::New);
  CHECK(shelf.books.renote(kOne, 0, "k", Doubt::Unsent, Side::New, 1, 9));
  CHECK_FALSE(shelf.books.renote(kOther, 0, "k", Doubt::Unsent, Side::New, 1, 10));
  CHECK(shelf.due(10) == std::vector<std::string>{"11:k", "12:k"});
  shelf.settle(shelf.handed[1]);
  CHECK(shelf.books.right_of(kOne, 0, "k"));
  CHECK_FALSE(shelf.books.right_of(kOther, 0, "k"));
}

TEST_CASE("books: what counts at a pair is its own, and strays") {
  Shelf shelf;
  shelf.note(kOne, "k");
  shelf.note(kOne, "other");
  shelf.note(kOther, "k");
  CHECK(shelf.books.size_at(kOne) == 2);
  CHECK(shelf.books.size_at(kOther) == 1);
  shelf.books.set_pairs({kOther});
  CHECK(shelf.books.size_at(kOther) == 3);
}

TEST_CASE("books: entries have one order, whichever book they are in, and are found by it") {
  Shelf shelf;
  for (int i = 0; i < 6; ++i) shelf.note(i % 2 == 0 ? kOne : kOther, std::to_string(i));
  std::vector<LedgerEntry> page;
  shelf.books.page(1, 3, page);
  REQUIRE(page.size() == 3);
  CHECK(page[0].at.key == "1");
  CHECK(page[2].at.key == "3");
  CHECK(page[2].seq == 4);
  CHECK(shelf.books.find(4)->at == SuspectKey{0, "3", kOther});
  CHECK_FALSE(shelf.books.find(7));
}

TEST_CASE("books: a pair that cannot be reached holds up no other, and each has its share") {
  Shelf shelf;
  for (int i = 0; i < 100; ++i) shelf.note(kOne, std::to_string(i));
  shelf.note(kOther, "last");
  CHECK(shelf.due(10, {kOne}) == std::vector<std::string>{"12:last"});
  shelf.note(kOther, "another");
  const std::vector<std::string> both = shelf.due(10);
  CHECK(both.size() >= 5);
  CHECK(std::ranges::find(both, "12:another") != both.end());
  CHECK(shelf.due(10, {kOne, kOther}).empty());
}

TEST_CASE("books: what is of no pair that there is counts at all, until it was equal at each") {
  Shelf shelf;
  LedgerEntry stray;
  stray.at = {0, "stray", 99};
  stray.right = Side::New;
  stray.seq = 7;
  shelf.books.restore(stray);
  CHECK(shelf.books.right_of(kOne, 0, "stray") == Side::New);
  CHECK(shelf.books.right_of(kOther, 0, "stray") == Side::New);
  CHECK(shelf.note(kOne, "stray", Side::Old).write == 8);
  CHECK(shelf.books.right_of(kOne, 0, "stray") == Side::Old);  // its own knows better
  CHECK(shelf.books.right_of(kOther, 0, "stray") == Side::New);
  CHECK(shelf.due(10, {kOther}) == std::vector<std::string>{"11:stray"});
  CHECK(shelf.due(10) == std::vector<std::string>{"99:stray"});
  shelf.settle(shelf.handed[0], 2);
  CHECK(shelf.due(10) == std::vector<std::string>{"99:stray"});
  shelf.settle(shelf.handed[0], 2);
  CHECK_FALSE(shelf.books.right_of(kOther, 0, "stray"));
}

TEST_CASE("books: limits are of all of them together") {
  Shelf shelf;
  shelf.limits = {.entries_max = 3, .bytes_max = 8, .key_max = 100};
  CHECK(shelf.note(kOne, "aa").added);
  CHECK(shelf.note(kOther, "bb").added);
  CHECK(shelf.note(kOther, "ccccc").full != nullptr);  // bytes
  CHECK(shelf.note(kOne, "dd").added);
  CHECK(shelf.note(kOther, "e").full != nullptr);  // entries
  CHECK(shelf.note(kOther, "bb").full == nullptr);
}

}  // namespace crossfade
