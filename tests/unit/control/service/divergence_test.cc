// Marks, pages and repair tasks of migrations: what the services make of the ledger.
#include <future>

#include "../bench.h"

namespace crossfade {

namespace {

constexpr const char* kOneSide = R"({"type":"canary","read_percentage":0.05})";
constexpr const char* kCrashed =
    "the sidecar ended without a clean shutdown while it was writing to both sides";

void note(Bench& bench, const std::string& key, std::int32_t db = kDefaultDb,
          Side right = Side::Old) {
  std::promise<bool> promise;
  auto durable = promise.get_future();
  const Suspect one{.at = {db, key}, .doubt = Doubt::Outcome, .right = right};
  REQUIRE_FALSE(bench.life->ledger.note("m", {one}, [&](bool yes) { promise.set_value(yes); }));
  REQUIRE(durable.get());
}

Json divergence(Bench& bench, std::uint32_t limit = 100, std::uint64_t cursor = 0) {
  Call call = bench.call;
  call.limit = limit;
  call.cursor = cursor;
  const Answer answer = bench.life->divergence.get("m", call);
  return must(answer).data;
}

std::string uuid_of(Bench& bench) {
  return find(bench.life->keeper.state()->migrations, "m")->identity.uuid;
}

// The ledger is written, and the process ends without a farewell.
void crash(Bench& bench) { bench.restart(); }

}  // namespace

TEST_CASE("divergence: a key is shown with its database, reason, side and times") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  note(bench, "plain");
  note(bench, "\xff\xfe", 3, Side::New);
  note(bench, "t (id=7)", kRowsDb);
  const Json data = divergence(bench);
  CHECK(text_of(data, "needs_full_verification") == "false");
  CHECK(text_of(data, "entries_total") == "3");
  CHECK(data.find("next_cursor")->is_null());
  CHECK(text_of(data, "mismatches") == "[]");
  const Json::Array& entries = *data.find("entries")->elements();
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].find("db")->is_null());
  CHECK(entries[0].find("row") == nullptr);
  CHECK(text_of(entries[0], "key") == "plain");
  CHECK(text_of(entries[0], "reason") == "outcome");
  CHECK(text_of(entries[0], "right") == "old");
  CHECK(text_of(entries[0], "first_at").size() == 20);
  CHECK(text_of(entries[0], "attempts") == "0");
  CHECK(entries[0].find("last_error") == nullptr);
  CHECK(text_of(entries[1], "db") == "3");
  CHECK(text_of(entries[1], "key_base64") == "//4=");
  CHECK(entries[1].find("key") == nullptr);
  CHECK(text_of(entries[1], "right") == "new");
  CHECK(entries[2].find("db")->is_null());
  CHECK(text_of(entries[2], "row") == "true");
}

TEST_CASE("divergence: pages follow each other by their cursor, and the last one has none") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  for (int i = 0; i < 5; ++i) note(bench, std::to_string(i));
  std::string keys;
  std::uint64_t cursor = 0;
  for (int pages = 0; pages < 3; ++pages) {
    const Json data = divergence(bench, 2, cursor);
    for (const Json& entry : *data.find("entries")->elements()) keys += text_of(entry, "key");
    CHECK(data.find("next_cursor")->is_null() == (pages == 2));
    if (pages < 2) cursor = std::stoull(text_of(data, "next_cursor"));
  }
  CHECK(keys == "01234");
  CHECK(divergence(bench, 5).find("next_cursor")->is_null());
}

TEST_CASE("divergence: an unknown migration is 404, a page of nothing 400") {
  Bench bench;
  bench.add_sides();
  CHECK(said(bench.life->divergence.get("nope", bench.call)) ==
        "404 Not found: Migration 'nope' does not exist");
  bench.add_ready("m", kCanary);
  Call call = bench.call;
  call.limit = 0;
  CHECK(said(bench.life->divergence.get("m", call)).find("400 Bad Request: limit: ") == 0);
  CHECK(text_of(divergence(bench), "entries_total") == "0");
}

TEST_CASE("divergence: what the data plane keeps of replies that differed is shown beside") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  const Divergence with(bench.life->keeper, bench.life->ledger, bench.life->verifications,
                        [](const std::string& id) { return Json(Json::Array{Json(id)}); });
  const Answer answer = with.get("m", bench.call);
  CHECK(text_of(must(answer).data, "mismatches") == R"(["m"])");
}

TEST_CASE("divergence: a migration shows a summary once it has written to both sides") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kOneSide);
  CHECK(must(bench.life->migrations.get("m", bench.call)).data.find("divergence") == nullptr);
  must(bench.patch_strategy("m", kCanary));
  note(bench, "k");
  must(bench.life->conductor.rollback("m", bench.call));
  const Answer got = bench.life->migrations.get("m", bench.call);
  CHECK(to_text(*must(got).data.find("divergence")) ==
        R"({"entries":1,"needs_full_verification":false})");
}

TEST_CASE("divergence: a deleted migration takes its ledger along") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  note(bench, "k");
  must(bench.life->conductor.rollback("m", bench.call));
  must(bench.life->migrations.remove("m", bench.call));
  CHECK(bench.life->ledger.size()->load() == 0);
  bench.add_ready("m", kCanary);
  CHECK(text_of(divergence(bench), "entries_total") == "0");
}

TEST_CASE("dual writes: the mark is on disk before the table is handed out") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  bool marked = false;
  bench.plane.when_published = [&] { marked = bench.life->ledger.is_open(uuid_of(bench)); };
  must(bench.life->conductor.migrate("m", bench.call));
  bench.plane.when_published = nullptr;
  CHECK(marked);
}

TEST_CASE("dual writes: a crash while both sides were written means full verification") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  crash(bench);
  const Json data = divergence(bench);
  CHECK(text_of(data, "needs_full_verification") == "true");
  const Json::Array& reasons = *data.find("reasons")->elements();
  REQUIRE(reasons.size() == 1);
  CHECK(text_of(reasons[0], "reason") == kCrashed);
  CHECK(text_of(reasons[0], "at").size() == 20);
  CHECK(bench.life->ledger.is_open(uuid_of(bench)));  // it goes on
  CHECK(bench.log.text().find("needs full verification") != std::string::npos);
}

TEST_CASE("dual writes: a clean stop leaves no mark, and the next process sets it again") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  bench.life->ledger.stop(Ledger::End::Clean);
  bench.restart();
  CHECK(text_of(divergence(bench), "needs_full_verification") == "false");
  CHECK(bench.life->ledger.is_open(uuid_of(bench)));
}

TEST_CASE("dual writes: the mark goes when the last second leg has ended, and comes back at once") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  const std::string uuid = uuid_of(bench);
  const auto rounds = [&](int count) {
    for (int i = 0; i < count; ++i) bench.life->dual_writes.sample();
    return bench.life->ledger.is_open(uuid);
  };
  CHECK(rounds(5));
  bench.plane.telemetry.interlays.at(0).second[1].eligible = 3;
  bench.plane.telemetry.interlays.at(0).second[1].answered = 2;
  must(bench.patch_strategy("m", R"({"write_mode":null})"));
  CHECK(rounds(5));
  bench.plane.telemetry.interlays.at(0).second[1].dropped[0] = 1;
  CHECK(rounds(1));
  must(bench.patch_strategy("m", kCanary));
  CHECK(rounds(5));
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK_FALSE(rounds(5));
  crash(bench);
  const std::string reasons = text_of(divergence(bench), "reasons");
  CHECK(reasons.find("clean shutdown") == std::string::npos);
  CHECK(reasons.find("it began to write to both sides again") != std::string::npos);
}

TEST_CASE("dual writes: a loop that has not taken the last table over keeps the mark") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  bench.plane.publishes_to_fail = 1;
  CHECK(said(bench.life->conductor.rollback("m", bench.call)).find("503") == 0);
  for (int i = 0; i < 5; ++i) bench.life->dual_writes.sample();
  CHECK(bench.life->ledger.is_open(uuid_of(bench)));
}

TEST_CASE("dual writes: without a ledger that can be written none begin, and nothing is changed") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  bench.life->ledger.stop(Ledger::End::Clean);
  const std::size_t handed = bench.plane.epochs.size();
  const std::string answer = said(bench.life->conductor.migrate("m", bench.call));
  CHECK(answer.find("503 Unavailable: write the ledger file") == 0);
  CHECK(answer.find("nothing was changed") != std::string::npos);
  CHECK(bench.status("m") == "ready");
  CHECK(bench.plane.epochs.size() == handed);
  must(bench.patch_strategy("m", R"({"write_mode":null})"));
  must(bench.life->conductor.migrate("m", bench.call));
}

TEST_CASE(
    "dual writes: a state file from before the ledger, or without it, is taken up with doubt") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  bench.life.reset();
  for (const char* suffix : {"-ledger", "-ledger-wal", "-ledger-shm"}) {
    std::filesystem::remove(bench.path() + suffix);
  }
  bench.restart();
  REQUIRE(bench.life->booted.ok());
  CHECK(bench.plane.route("cache").strategy.has_value());
  CHECK(text_of(divergence(bench), "needs_full_verification") == "true");
}

TEST_CASE("repairs: tasks name both servers, and only migrations in force have any") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  note(bench, "k", 2, Side::New);
  auto tasks = bench.life->repairs.due(10);
  REQUIRE(tasks.size() == 1);
  CHECK(tasks[0].migration == "m");
  CHECK(tasks[0].at == SuspectKey{2, "k"});
  CHECK(tasks[0].doubt == Doubt::Outcome);
  CHECK(tasks[0].right == Side::New);
  CHECK(tasks[0].old_side.port == 1);
  CHECK(tasks[0].new_side.port == 2);
  CHECK(bench.life->repairs.due(10).empty());
  bench.life->repairs.settle(tasks[0], RepairOutcome::Repaired, "");
  CHECK(bench.life->ledger.size()->load() == 0);

  note(bench, "later");
  bench.call.force = true;  // the ledger has a key
  must(bench.patch_strategy("m", R"({"write_mode":null})"));
  CHECK(bench.life->repairs.due(10).empty());
  must(bench.patch_strategy("m", kCanary));
  CHECK(bench.life->repairs.due(10).size() == 1);
}

TEST_CASE("repairs: of a migration with two interlays a key is looked at behind both") {
  Bench bench;
  bench.add_sides();
  bench.told.up[3] = ToldServers::healthy();
  bench.add_endpoint("third", 3);
  bench.add_interlay("other", "third", 7002);
  bench.told.up[4] = ToldServers::healthy();
  bench.add_endpoint("fourth", 4);
  bench.add_ready("m", kCanary);
  must(bench.life->migrations.add_interlay("m", "other", json(R"({"endpoint":"fourth"})"),
                                           bench.call));
  must(bench.life->conductor.migrate("m", bench.call));
  note(bench, "k");
  std::set<int> old_ports;
  for (int place = 0; place < 2; ++place) {
    const auto tasks = bench.life->repairs.due(10);
    REQUIRE(tasks.size() == 1);
    old_ports.insert(tasks[0].old_side.port);
    CHECK(bench.life->ledger.size()->load() == 1);
    bench.life->repairs.settle(tasks[0], RepairOutcome::Equal, "");
  }
  CHECK(old_ports == std::set<int>{1, 3});
  CHECK(bench.life->ledger.size()->load() == 0);
}

}  // namespace crossfade
