// The ledger: what it has said is on disk is there after any end, and what it can not keep it says.
#include "control/ledger/ledger.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <future>
#include <set>

#include "../bench.h"
#include "../no_room.h"
#include "strategies/untold.h"

namespace crossfade {

namespace {

const Ledger::Name kM{"uuid-m", "m"};
constexpr auto kNotInForce = Ledger::Before::NotInForce;

Suspect suspect(const std::string& key, Side right = Side::Old) {
  return {.at = {0, key}, .doubt = Doubt::Unanswered, .right = right};
}

// A ledger that is open, and has taken up what the file has of "m".
struct Opened {
  explicit Opened(const std::string& path, LedgerOptions options = {})
      : ledger(std::make_unique<Ledger>(std::move(options))) {
    const Status status = ledger->open(path);
    REQUIRE_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message()));
    ledger->take_up({kM});
  }
  Ledger* operator->() const { return ledger.get(); }

  std::unique_ptr<Ledger> ledger;
};

enum class Told { Known, True, False, Never };

// Notes keys and waits for what is told about them.
Told note(const Opened& ledger, const std::vector<Suspect>& suspects) {
  auto promise = std::make_shared<std::promise<bool>>();
  auto told = promise->get_future();
  if (ledger->note("m", suspects, [promise](bool durable) { promise->set_value(durable); })) {
    return Told::Known;
  }
  if (told.wait_for(std::chrono::seconds(20)) != std::future_status::ready) return Told::Never;
  return told.get() ? Told::True : Told::False;
}

Told note_all(const Opened& ledger, const std::string& why) {
  auto promise = std::make_shared<std::promise<bool>>();
  auto told = promise->get_future();
  if (ledger->note_all("m", why, [promise](bool durable) { promise->set_value(durable); })) {
    return Told::Known;
  }
  if (told.wait_for(std::chrono::seconds(20)) != std::future_status::ready) return Told::Never;
  return told.get() ? Told::True : Told::False;
}

std::vector<std::string> reasons(const Opened& ledger) {
  std::vector<std::string> texts;
  const auto summary = ledger->summary(kM.uuid);
  if (!summary) return {"(not known)"};
  for (const LedgerReason& reason : summary->reasons) texts.push_back(reason.text);
  return texts;
}

constexpr const char* kCrashed =
    "the sidecar ended without a clean shutdown while it was writing to both sides";

}  // namespace

TEST_CASE("ledger: what is suspected in one of two databases that change places is in both") {
  TempFolder folder;
  const Opened ledger(folder.file("l"));
  REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
  note(ledger, {{{1, "one"}, Doubt::Unsent, Side::New},
                {{2, "two"}, Doubt::Unsent, Side::Old},
                {{3, "three"}, Doubt::Unsent, Side::Old}});
  std::promise<bool> on_disk;
  CHECK_FALSE(ledger->swap("m", 0, 1, 2, [&](bool durable) { on_disk.set_value(durable); }));
  CHECK(on_disk.get_future().get());
  CHECK(ledger->right_of("m", 0, 2, "one") == Side::New);
  CHECK(ledger->suspects("m", 0, 1, "one"));
  CHECK(ledger->suspects("m", 0, 1, "two"));
  CHECK_FALSE(ledger->suspects("m", 0, 1, "three"));
  CHECK(ledger->swap("m", 0, 4, 5, nullptr));  // nothing is suspected there
}

TEST_CASE(
    "ledger: behind a time in which one side was written alone entries claim nothing for it") {
  CapturedLog log;
  TempFolder folder;
  {
    const Opened ledger(folder.file("l"));
    REQUIRE(ledger->begin(kM, kNotInForce, Side::New).ok());
    note(ledger, {suspect("a", Side::New), suspect("b", Side::Old)});
    const std::vector<LedgerEntry> out = ledger->due(kM.uuid, 10);
    REQUIRE(out.size() == 2);
    SUBCASE("its mark was taken away") { ledger->end(kM.uuid); }
    SUBCASE("its mark is still there") {}
    REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
    // What a repair of before has found says nothing.
    ledger->settle("m", out[0].at, out[0].version, RepairOutcome::Equal, "", 1);
    CHECK(ledger->right_of("m", 0, 0, "a") == Side::Old);
    CHECK(ledger->right_of("m", 0, 0, "b") == Side::Old);
    CHECK(ledger->summary(kM.uuid)->right == std::array<std::uint64_t, 2>{2, 0});
    // On the way back to force after a crash nothing is claimed anew.
    REQUIRE(ledger->begin(kM, Ledger::Before::InForce, Side::New).ok());
    CHECK(ledger->right_of("m", 0, 0, "a") == Side::Old);
    ledger->stop(Ledger::End::Unclean);
  }
  const Opened ledger(folder.file("l"));
  CHECK(ledger->right_of("m", 0, 0, "a") == Side::Old);
}

TEST_CASE("ledger: what was told to be on disk is there in the next process, as it was noted") {
  CapturedLog log;
  TempFolder folder;
  const std::string odd("\xff\0k", 3);
  {
    const Opened ledger(folder.file("l"));
    REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
    CHECK(note(ledger, {suspect("a"), suspect(odd, Side::New)}) == Told::True);
    CHECK(note(ledger, {suspect("a")}) == Told::Known);
    CHECK(note(ledger, {suspect("a", Side::New)}) == Told::True);  // that matters for repair
    CHECK(ledger->size()->load() == 2);
    ledger->stop(Ledger::End::Clean);
  }
  const Opened ledger(folder.file("l"));
  CHECK(ledger->size()->load() == 2);
  CHECK(ledger->suspects("m", 0, 0, "a"));
  CHECK(ledger->suspects("m", 0, 0, odd));
  CHECK_FALSE(ledger->suspects("m", 0, 1, "a"));
  CHECK_FALSE(ledger->suspects("other", 0, 0, "a"));
  const auto page = ledger->page(kM.uuid, 0, 10);
  REQUIRE(page.size() == 2);
  CHECK(page[0].right == Side::New);
  CHECK(page[1].at.key == odd);
  CHECK(page[0].doubt == Doubt::Unanswered);
  CHECK(note(ledger, {suspect("a", Side::New), suspect(odd, Side::New)}) == Told::Known);
  REQUIRE(reasons(ledger).size() == 1);  // what "a" had on old alone is not copied any more
  CHECK(reasons(ledger)[0].starts_with("a key of the ledger had writes that one side alone has"));
}

TEST_CASE("ledger: keys that are known cost no commit") {
  CapturedLog log;
  TempFolder folder;
  const Opened ledger(folder.file("l"));
  REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
  REQUIRE(note(ledger, {suspect("a"), suspect("b")}) == Told::True);
  const std::uint64_t commits = ledger->figures().commits.total;
  for (int i = 0; i < 100; ++i) CHECK(note(ledger, {suspect("b"), suspect("a")}) == Told::Known);
  CHECK(note(ledger, {}) == Told::Known);
  CHECK(ledger->figures().commits.total == commits);
  CHECK(ledger->figures().migrations.at(0).noted.at(std::size_t(Doubt::Unanswered)) == 202);
}

TEST_CASE("ledger: what is settled leaves the disk, unless it was noted again") {
  CapturedLog log;
  TempFolder folder;
  {
    const Opened ledger(folder.file("l"));
    REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
    REQUIRE(note(ledger, {suspect("a"), suspect("b"), suspect("c")}) == Told::True);
    const auto due = ledger->due(kM.uuid, 10);
    REQUIRE(due.size() == 3);
    CHECK(note(ledger, {suspect("b")}) == Told::Known);
    ledger->settle("m", due[0].at, due[0].version, RepairOutcome::Equal, "", 1);
    ledger->settle("m", due[1].at, due[1].version, RepairOutcome::Repaired, "", 1);
    ledger->settle("m", due[2].at, due[2].version, RepairOutcome::Failed, "it is down", 1);
    CHECK_FALSE(ledger->suspects("m", 0, 0, "a"));
    CHECK(ledger->suspects("m", 0, 0, "b"));
    CHECK(ledger->size()->load() == 2);
    CHECK(note(ledger, {suspect("a")}) == Told::True);  // it came back
    const LedgerCounts counts = ledger->figures().migrations.at(0);
    CHECK(counts.entries == 3);
    CHECK(counts.repaired == std::array<std::uint64_t, kRepairOutcomes>{1, 1, 1, 0, 0});
    ledger->stop(Ledger::End::Clean);
  }
  const Opened ledger(folder.file("l"));
  const auto page = ledger->page(kM.uuid, 0, 10);
  REQUIRE(page.size() == 3);
  CHECK(page[0].at.key == "b");
  CHECK(page[1].at.key == "c");
  CHECK(page[1].attempts == 1);
  CHECK(page[1].last_error == "it is down");
  CHECK(page[2].at.key == "a");
}

TEST_CASE("ledger: what failed comes back after a delay that grows from 0.1 to 30 seconds") {
  CapturedLog log;
  TempFolder folder;
  auto now = std::make_shared<std::atomic<std::int64_t>>(1'000'000);
  const Opened ledger(folder.file("l"), {.limits = {}, .steady_ms = [now] { return now->load(); }});
  REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
  REQUIRE(note(ledger, {suspect("a")}) == Told::True);
  std::int64_t most = 100;
  for (int attempt = 0; attempt < 20; ++attempt) {
    const auto due = ledger->due(kM.uuid, 1);
    REQUIRE(due.size() == 1);
    ledger->settle("m", due[0].at, due[0].version, RepairOutcome::Failed, "down", 1);
    *now += most / 2 - 1;
    CHECK(ledger->due(kM.uuid, 1).empty());
    *now += most / 2 + 1;
    most = std::min<std::int64_t>(2 * most, 30'000);
  }
}

TEST_CASE("ledger: beyond its limit the migration needs full verification, until it was verified") {
  CapturedLog log;
  TempFolder folder;
  const LedgerOptions two{.limits = {.entries_max = 2}, .steady_ms = {}};
  {
    const Opened ledger(folder.file("l"), two);
    REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
    CHECK(note(ledger, {suspect("a"), suspect("b")}) == Told::True);
    CHECK(reasons(ledger).empty());
    CHECK(note(ledger, {suspect("c")}) == Told::True);
    CHECK(reasons(ledger) == std::vector<std::string>{"the ledger is full (ledger_max)"});
    CHECK(note(ledger, {suspect("d"), suspect("a")}) == Told::Known);  // as the reason is on disk
    CHECK(ledger->size()->load() == 2);
    ledger->stop(Ledger::End::Clean);
  }
  const Opened ledger(folder.file("l"), two);
  CHECK(reasons(ledger) == std::vector<std::string>{"the ledger is full (ledger_max)"});
  const std::uint64_t begun = ledger->begin_verification("m");
  CHECK(ledger->verified("m", begun));
  CHECK(reasons(ledger).empty());
}

TEST_CASE("ledger: a verification that did not see all doubts does not end them") {
  CapturedLog log;
  TempFolder folder;
  {
    const Opened ledger(folder.file("l"));
    REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
    CHECK(note_all(ledger, "FLUSHALL on one side") == Told::True);
    CHECK(note_all(ledger, "FLUSHALL on one side") == Told::Known);
    const std::uint64_t begun = ledger->begin_verification("m");
    CHECK(note_all(ledger, "FLUSHALL on one side") == Told::Known);
    CHECK_FALSE(ledger->verified("m", begun));
    CHECK(reasons(ledger) == std::vector<std::string>{"FLUSHALL on one side"});
    CHECK(ledger->verified("m", ledger->begin_verification("m")));
    CHECK(note_all(ledger, "FLUSHALL on one side") == Told::True);  // anew
    CHECK(ledger->verified("m", ledger->begin_verification("m")));
    ledger->stop(Ledger::End::Clean);
  }
  CHECK(reasons(Opened(folder.file("l"))).empty());
}

TEST_CASE("ledger: a mark that is found at the start means full verification, a clean end none") {
  CapturedLog log;
  TempFolder folder;
  {
    const Opened ledger(folder.file("l"));
    REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
    REQUIRE(ledger->begin(kM, Ledger::Before::InForce, Side::Old).ok());
  }  // without a farewell
  {
    const Opened ledger(folder.file("l"));
    CHECK(reasons(ledger) == std::vector<std::string>{kCrashed});
    CHECK(ledger->verified("m", ledger->begin_verification("m")));
    REQUIRE(ledger->begin(kM, Ledger::Before::InForce, Side::Old).ok());
    ledger->stop(Ledger::End::Clean);
  }
  {
    const Opened ledger(folder.file("l"));
    CHECK(reasons(ledger).empty());
    REQUIRE(ledger->begin(kM, Ledger::Before::InForce, Side::Old).ok());
    ledger->end(kM.uuid);  // it writes to one side again
    CHECK_FALSE(ledger->is_open(kM.uuid));
  }
  CHECK(reasons(Opened(folder.file("l"))).empty());
}

TEST_CASE("ledger: who writes to both sides again after a while of one side needs verification") {
  CapturedLog log;
  TempFolder folder;
  const Opened ledger(folder.file("l"));
  REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
  CHECK(reasons(ledger).empty());
  CHECK_FALSE(ledger->suspects("m", 0, 0, "any"));
  SUBCASE("its mark was taken away in between") { ledger->end(kM.uuid); }
  SUBCASE("it was not yet") {}
  REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
  REQUIRE(reasons(ledger).size() == 1);
  CHECK(reasons(ledger)[0].starts_with("it began to write to both sides again"));
  CHECK(ledger->suspects("m", 0, 0, "any"));  // no canary reads it from a side that may lack it
  CHECK(ledger->verified("m", ledger->begin_verification("m")));
  CHECK_FALSE(ledger->suspects("m", 0, 0, "any"));
}

TEST_CASE("ledger: while nobody knows which tables differ all of them are suspected") {
  CapturedLog log;
  TempFolder folder;
  const Opened ledger(folder.file("l"));
  REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
  CHECK(note_all(ledger, kTablesUntold) == Told::True);
  CHECK(ledger->suspects("m", 0, kDefaultDb, "any"));
  CHECK(ledger->verified("m", ledger->begin_verification("m")));
  CHECK_FALSE(ledger->suspects("m", 0, kDefaultDb, "any"));
}

TEST_CASE("ledger: a server that was started again needs verification, also while nobody watched") {
  CapturedLog log;
  TempFolder folder;
  {
    const Opened ledger(folder.file("l"));
    REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
    ledger->saw("m", {.endpoint = "new", .place = "host:1", .run_id = "one"});
    ledger->saw("m", {.endpoint = "old", .place = "host:2", .run_id = "two"});
    ledger->saw("m", {.endpoint = "new", .place = "host:1", .run_id = "one"});
    CHECK(reasons(ledger).empty());
    CHECK(ledger->suspected("m") == Suspected::None);
    ledger->stop(Ledger::End::Clean);
  }
  const Opened ledger(folder.file("l"));
  REQUIRE(ledger->begin(kM, Ledger::Before::InForce, Side::Old).ok());
  ledger->saw("m", {.endpoint = "new", .place = "host:1", .run_id = "another", .side = Side::New});
  REQUIRE(reasons(ledger).size() == 1);
  CHECK(reasons(ledger)[0].starts_with("new endpoint 'new' was started again"));
  CHECK(ledger->suspects("m", 0, 0, "any"));  // it is not read there
  CHECK(ledger->suspected("m") == Suspected::None);
  const std::uint64_t begun = ledger->begin_verification("m");
  CHECK(ledger->suspected("m") == Suspected::All);  // what it has not looked at may spread
  CHECK(ledger->verified("m", begun));
  CHECK(ledger->suspected("m") == Suspected::None);
  CHECK_FALSE(ledger->suspects("m", 0, 0, "any"));
  CHECK(ledger->doubtful()->load() == 0);
}

TEST_CASE("ledger: a server that has evicted keys since it was first seen needs verification") {
  CapturedLog log;
  TempFolder folder;
  const Opened ledger(folder.file("l"));
  REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
  const auto sees = [&](std::optional<std::uint64_t> evicted_keys) {
    ledger->saw("m", {.endpoint = "new",
                      .place = "host:1",
                      .run_id = "one",
                      .evicted_keys = evicted_keys,
                      .side = Side::New});
    return reasons(ledger).size();
  };
  CHECK(sees(std::nullopt) == 0);
  CHECK(sees(7) == 0);  // before anybody wrote to both sides, for all that is known
  CHECK(sees(7) == 0);
  CHECK(sees(std::nullopt) == 0);
  CHECK(sees(7) == 0);
  CHECK(sees(0) == 0);  // it was told to count anew
  CHECK(sees(2) == 1);
  CHECK(reasons(ledger)[0].starts_with("new endpoint 'new' evicted keys by itself"));
  CHECK_FALSE(ledger->suspects("m", 0, 0, "any"));  // reads stay where the strategy wants them
  CHECK(sees(3) == 1);
  const std::uint64_t begun = ledger->begin_verification("m");
  CHECK(sees(9) == 1);
  CHECK_FALSE(ledger->verified("m", begun));  // it evicts while it is being looked at
  CHECK(ledger->verified("m", ledger->begin_verification("m")));
  CHECK(sees(9) == 0);
  CHECK(sees(1) == 1);
}

TEST_CASE(
    "ledger: a migration that was writing to both sides without a ledger needs verification") {
  CapturedLog log;
  TempFolder folder;
  const Opened ledger(folder.file("l"));
  REQUIRE(ledger->begin(kM, Ledger::Before::InForce, Side::Old).ok());
  REQUIRE(reasons(ledger).size() == 1);
  CHECK(reasons(ledger)[0].find("there is no ledger of that time") != std::string::npos);
}

TEST_CASE("ledger: a deleted migration takes its entries along, however many") {
  CapturedLog log;
  TempFolder folder;
  const std::uint32_t count = 2 * kDropSlice + 10;
  {
    const Opened ledger(folder.file("l"));
    REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
    REQUIRE(ledger->begin({"uuid-other", "other"}, kNotInForce, Side::Old).ok());
    std::vector<Suspect> many;
    for (std::uint32_t i = 0; i < count; ++i) many.push_back(suspect("k" + std::to_string(i)));
    REQUIRE(note(ledger, many) == Told::True);
    CHECK_FALSE(ledger->note("other", {suspect("k0")}, {}));
    CHECK(ledger->size()->load() == count + 1);
    ledger->forget(kM.uuid);
    CHECK(ledger->size()->load() == 1);
    CHECK_FALSE(ledger->knows(kM.uuid));
    CHECK(note(ledger, {suspect("late")}) == Told::Known);  // nobody is to wait for it
    // Another one of that name begins with nothing.
    REQUIRE(ledger->begin({"uuid-m2", "m"}, kNotInForce, Side::Old).ok());
    CHECK_FALSE(ledger->suspects("m", 0, 0, "k0"));
    ledger->stop(Ledger::End::Clean);
  }
  auto file = LedgerFile::open(folder.file("l"));
  REQUIRE(file.ok());
  const auto heads = file->heads();
  REQUIRE(heads.ok());
  REQUIRE(heads.value().size() == 2);
  CHECK(heads.value()[0].uuid == "uuid-other");
  CHECK(file->entries(1, 0, 10).value().empty());
}

TEST_CASE("ledger: what the file has of migrations that are no more is deleted at the start") {
  CapturedLog log;
  TempFolder folder;
  {
    const Opened ledger(folder.file("l"));
    REQUIRE(ledger->begin({"uuid-gone", "gone"}, kNotInForce, Side::Old).ok());
    CHECK_FALSE(ledger->note("gone", {suspect("k")}, {}));
  }
  const Opened ledger(folder.file("l"));
  CHECK_FALSE(ledger->knows("uuid-gone"));
  CHECK(ledger->size()->load() == 0);
  CHECK(ledger->figures().migrations.empty());
}

TEST_CASE("ledger: while its file can not be written nobody waits for long, and nothing is lost") {
  CapturedLog log;
  TempFolder folder;
  {
    const Opened ledger(folder.file("l"), {.limits = {}, .patience_ms = 30, .steady_ms = {}});
    REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
    {
      const NoRoom none;
      CHECK(note(ledger, {suspect("a")}) == Told::False);
      CHECK(reasons(ledger).size() == 1);
      CHECK(note(ledger, {suspect("a")}) == Told::False);
      CHECK(note(ledger, {suspect("b")}) == Told::False);
      CHECK(note_all(ledger, "everything") == Told::False);
      CHECK_FALSE(ledger->begin({"uuid-other", "other"}, kNotInForce, Side::Old).ok());
      CHECK(ledger->figures().write_failures > 0);
    }
    CHECK(ledger->suspects("m", 0, 0, "a"));
    // There is room again: the next who asks, and those before, are written.
    while (note(ledger, {suspect("c")}) == Told::False) {
    }
    CHECK(note(ledger, {suspect("a"), suspect("b"), suspect("c")}) == Told::Known);
  }
  const Opened ledger(folder.file("l"));
  CHECK(ledger->size()->load() == 3);
  REQUIRE(reasons(ledger).size() == 3);
  std::string all;
  for (const std::string& reason : reasons(ledger)) all += reason + "\n";
  CHECK(all.find("the ledger could not be written") != std::string::npos);
  CHECK(all.find("everything") != std::string::npos);
  const std::string lines = log.text();
  const std::string once = "the ledger can not be written and is tried again";
  CHECK(lines.find(once) != std::string::npos);
  CHECK(lines.find(once, lines.find(once) + 1) == std::string::npos);
}

TEST_CASE("ledger: after its end who would wait is told false at once") {
  CapturedLog log;
  TempFolder folder;
  const Opened ledger(folder.file("l"));
  REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
  REQUIRE(note(ledger, {suspect("a")}) == Told::True);
  ledger->stop(Ledger::End::Clean);
  CHECK(note(ledger, {suspect("a")}) == Told::Known);
  CHECK(note(ledger, {suspect("b")}) == Told::False);
  CHECK(note_all(ledger, "everything") == Told::False);
}

TEST_CASE("ledger: a file that is damaged, foreign or newer is refused and left as it was") {
  TempFolder folder;
  const auto refusal = [&](const std::string& bytes) {
    std::ofstream(folder.file("l"), std::ios::binary) << bytes;
    Ledger ledger({});
    const Status status = ledger.open(folder.file("l"));
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().code == Errc::BadConfig);
    std::ifstream file(folder.file("l"), std::ios::binary);
    CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == bytes);
    return status.error().message();
  };
  CHECK(refusal("somebody's notes").find("it is not a crossfade ledger file") != std::string::npos);
  CHECK(StateFile::open(folder.file("state")).ok());
  std::ifstream state(folder.file("state"), std::ios::binary);
  const std::string foreign(std::istreambuf_iterator<char>(state), {});
  CHECK(refusal(foreign).find("it belongs to another program") != std::string::npos);
}

TEST_CASE("ledger: after kill -9 at any instant every key that was told to be on disk is there") {
  CapturedLog log;
  TempFolder folder;
  const std::string path = folder.file("l");
  std::uint64_t told = 0;
  for (int round = 0; round < 6; ++round) {
    std::array<int, 2> channel{};
    REQUIRE(pipe2(channel.data(), O_CLOEXEC) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      // Notes for ever, several at once, and reports each number when it is told of it.
      Ledger ledger({});
      if (!ledger.open(path).ok()) _exit(1);
      ledger.take_up({kM});
      const auto before = round == 0 ? kNotInForce : Ledger::Before::InForce;
      if (!ledger.begin(kM, before, Side::Old).ok()) _exit(1);
      std::atomic<std::uint64_t> open = 0;
      for (std::uint64_t n = told + 1;; ++n) {
        ++open;
        (void)ledger.note("m", {suspect(std::to_string(n))}, [&open, n, &channel](bool durable) {
          if (!durable || write(channel[1], &n, sizeof n) != sizeof n) _exit(1);
          --open;
          open.notify_one();
        });
        for (std::uint64_t now = open; now > 20; now = open) open.wait(now);
      }
    }
    close(channel[1]);
    for (int i = 0; i < 50 + 333 * round; ++i) {
      REQUIRE(read(channel[0], &told, sizeof told) == sizeof told);
    }
    kill(child, SIGKILL);
    while (read(channel[0], &told, sizeof told) == sizeof told) {
    }
    waitpid(child, nullptr, 0);
    close(channel[0]);
    const Opened ledger(path);
    CHECK(reasons(ledger) == std::vector<std::string>{kCrashed});
    for (std::uint64_t n = 1; n <= told; ++n) {
      CAPTURE(n);
      REQUIRE(ledger->right_of("m", 0, 0, std::to_string(n)));
    }
    told += 1'000;  // beyond what the child may have begun
    REQUIRE(note(ledger, {suspect(std::to_string(told))}) == Told::True);
    for (std::uint64_t n = told - 1'000; n < told; ++n) {
      REQUIRE(note(ledger, {suspect(std::to_string(n))}) != Told::False);
    }
  }
}

TEST_CASE("ledger: noting, repairing and reading from many threads leave what was not settled") {
  CapturedLog log;
  TempFolder folder;
  constexpr int kThreads = 4;
  constexpr int kKeys = 500;
  std::set<std::string> expected;
  {
    const Opened ledger(folder.file("l"));
    REQUIRE(ledger->begin(kM, kNotInForce, Side::Old).ok());
    std::atomic<int> waiting = 0;
    std::atomic<bool> noting = true;
    std::mutex removed_mutex;
    std::set<std::string> removed;
    std::thread repair([&] {
      while (noting) {
        for (const LedgerEntry& entry : ledger->due(kM.uuid, 16)) {
          // Keys of even numbers are noted once: they leave. Others are tried in vain.
          const bool leaves = (entry.at.key.back() - '0') % 2 == 0;
          ledger->settle("m", entry.at, entry.version,
                         leaves ? RepairOutcome::Equal : RepairOutcome::Failed, "down", 1);
          const std::lock_guard held(removed_mutex);
          if (leaves) removed.insert(entry.at.key);
        }
      }
    });
    std::vector<std::thread> noters;
    for (int t = 0; t < kThreads; ++t) {
      noters.emplace_back([&, t] {
        for (int i = 0; i < kKeys; ++i) {
          const std::string key = std::to_string(t) + ":" + std::to_string(i);
          ++waiting;
          if (ledger->note("m", {suspect(key, i % 3 == 0 ? Side::New : Side::Old)},
                           [&waiting](bool durable) {
                             CHECK(durable);
                             --waiting;
                             waiting.notify_all();
                           })) {
            --waiting;
          }
          (void)ledger->suspects("m", 0, 0, key);
          if (i % 50 == 0) (void)ledger->page(kM.uuid, 0, 100);
          if (i % 50 == 1) (void)ledger->figures();
        }
      });
    }
    for (std::thread& one : noters) one.join();
    for (int now = waiting; now > 0; now = waiting) waiting.wait(now);
    noting = false;
    repair.join();
    for (int t = 0; t < kThreads; ++t) {
      for (int i = 0; i < kKeys; ++i) {
        const std::string key = std::to_string(t) + ":" + std::to_string(i);
        if (!removed.contains(key)) expected.insert(key);
      }
    }
    ledger->stop(Ledger::End::Clean);
  }
  const Opened ledger(folder.file("l"));
  std::set<std::string> found;
  for (const LedgerEntry& entry : ledger->page(kM.uuid, 0, 10'000)) found.insert(entry.at.key);
  CHECK(found == expected);
  CHECK(ledger->size()->load() == expected.size());
}

}  // namespace crossfade
