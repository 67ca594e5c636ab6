// What is due is settled, at a bounded pace, and the worker can always be stopped.
#include "movement/repair_worker.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <stdexcept>

#include "sides.h"

namespace crossfade {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A ledger in memory: what is not settled stays due.
class Ledger {
 public:
  void add(RepairTask task) {
    const std::lock_guard lock(mutex_);
    due_.push_back(std::move(task));
  }

  RepairDoors doors() {
    return {.due =
                [this](std::size_t max) {
                  const std::lock_guard lock(mutex_);
                  ++asked_;
                  const std::size_t many = std::min(max, due_.size());
                  return std::vector<RepairTask>(due_.begin(),
                                                 due_.begin() + static_cast<std::ptrdiff_t>(many));
                },
            .settle =
                [this](const RepairTask& task, RepairOutcome outcome, const std::string& why) {
                  const std::lock_guard lock(mutex_);
                  ++outcomes_[outcome];
                  why_ = why;
                  if (outcome != RepairOutcome::Equal && outcome != RepairOutcome::Repaired) return;
                  std::erase_if(due_, [&](const RepairTask& one) { return one.at == task.at; });
                },
            .hold =
                [this](const RepairTask&, std::uint32_t) {
                  const std::lock_guard lock(mutex_);
                  if (++held_ > 1) together_ = true;
                  return std::shared_ptr<void>(this, [this](void*) {
                    const std::lock_guard release(mutex_);
                    --held_;
                  });
                },
            .right = [](const RepairTask& one) { return one.right; },
            .expires = [](const RepairTask&, std::uint64_t) {},
            .ghosts = [](const RepairTask&, Side) { return std::vector<ServersClient>(); },
            .fenced = [](const RepairTask&, Side, const std::vector<ServersClient>&) {},
            .may_copy = [](const std::string&, Side) { return std::make_shared<int>(); },
            .rest = [](const RepairTask&) {},
            .wake = [](const RepairTask&, std::uint32_t) { return true; }};
  }

  // Polls: true when it came about within the limit.
  bool comes(const std::function<bool(Ledger&)>& about) {
    const auto limit = steady_clock::now() + milliseconds(kTestLimit_ms);
    while (steady_clock::now() < limit) {
      {
        const std::lock_guard lock(mutex_);
        if (about(*this)) return true;
      }
      poll(nullptr, 0, 2);
    }
    return false;
  }

  std::deque<RepairTask> due_;
  std::map<RepairOutcome, int> outcomes_;
  std::string why_;
  int asked_ = 0;
  int held_ = 0;
  bool together_ = false;  // several keys were held at once

 private:
  std::mutex mutex_;
};

RepairTask task_of(const Sides& sides, const std::string& key, std::int32_t db = kDefaultDb) {
  RepairTask task = sides.task;
  task.at = {db, key};
  return task;
}

}  // namespace

TEST_CASE("repair worker: what is due is settled, one key at a time") {
  Sides sides;
  Sides others;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  RedisConnection other_side = others.to_old();
  others.task.old_side.id = "other old";
  others.task.new_side.id = "other new";
  Ledger ledger;
  for (int i = 0; i < 300; ++i) {
    const std::string key = "key " + std::to_string(i);
    ask(old_side, {"SET", key, key});
    if (i % 3 == 0) ask(new_side, {"SET", key, key});
    ask(other_side, {"SET", key + " other", "value"});
    ledger.add(task_of(sides, key));
    ledger.add(task_of(others, key + " other"));
  }
  RepairWorker worker(ledger.doors());
  worker.start();
  CHECK(ledger.comes([](Ledger& now) { return now.due_.empty(); }));
  worker.stop();
  CHECK(ledger.outcomes_[RepairOutcome::Equal] == 100);
  CHECK(ledger.outcomes_[RepairOutcome::Repaired] == 500);
  CHECK(worker.counts().equal == 100);
  CHECK(worker.counts().repaired == 500);
  CHECK(worker.counts().bytes_copied > 500 * 10);
  CHECK_FALSE(ledger.together_);
  CHECK(ask(new_side, {"DBSIZE"}).number == 300);
}

TEST_CASE("repair worker: it keeps its pace") {
  Sides sides;
  Ledger ledger;
  for (int i = 0; i < 40; ++i) ledger.add(task_of(sides, "key " + std::to_string(i)));
  RepairLimits limits;
  limits.rate_max = 200;
  RepairWorker worker(ledger.doors(), limits);
  const auto began = steady_clock::now();
  worker.start();
  CHECK(ledger.comes([](Ledger& now) { return now.due_.empty(); }));
  CHECK(steady_clock::now() - began >= milliseconds(39 * 5));
}

TEST_CASE("repair worker: a server that is away fails its own entries only, until it is back") {
  Sides sides;
  Sides gone;
  RedisConnection old_side = sides.to_old();
  ask(old_side, {"SET", "key", "value"});
  gone.task.migration = "gone";
  gone.task.old_side.id = "gone old";
  gone.task.new_side.id = "gone new";
  gone.servers[1]->freeze();
  Ledger ledger;
  for (int i = 0; i < 20; ++i) ledger.add(task_of(gone, "gone " + std::to_string(i)));
  ledger.add(task_of(sides, "key"));
  RepairLimits limits;
  limits.answer_ms = 200;
  RepairWorker worker(ledger.doors(), limits);
  worker.start();
  CHECK(ledger.comes([](Ledger& now) { return now.outcomes_[RepairOutcome::Repaired] == 1; }));
  CHECK(ledger.comes([](Ledger& now) { return now.outcomes_[RepairOutcome::Unreachable] >= 20; }));
  CHECK(worker.counts().unreachable >= 20);
  gone.servers[1]->thaw();
  CHECK(ledger.comes([](Ledger& now) { return now.due_.empty(); }));
}

TEST_CASE("repair worker: it stops within a second, whatever it waits for") {
  Sides sides;
  SilentPort silent;
  Ledger ledger;
  const auto check_stops = [](RepairWorker& worker) {
    const auto began = steady_clock::now();
    worker.stop();
    CHECK(steady_clock::now() - began < milliseconds(1'000));
  };
  {
    RepairWorker idle(ledger.doors());
    idle.start();
    CHECK(ledger.comes([](Ledger& now) { return now.asked_ > 2; }));
    check_stops(idle);
  }
  RepairTask task = task_of(sides, "key");
  ledger.add(task);
  {
    sides.servers[1]->freeze();
    RepairWorker logging_in(ledger.doors());
    logging_in.start();
    CHECK(ledger.comes([](Ledger& now) { return now.asked_ > 4; }));
    check_stops(logging_in);
    sides.servers[1]->thaw();
  }
  {
    RedisConnection old_side = sides.to_old();
    RedisConnection new_side = sides.to_new();
    ask(old_side, {"SET", "key", "value"});
    ask(new_side, {"CLIENT", "PAUSE", "100000", "WRITE"});
    RepairWorker copying(ledger.doors());
    copying.start();
    CHECK(ledger.comes([](Ledger& now) { return now.held_ > 0; }));
    check_stops(copying);
  }
  CHECK(ledger.due_.size() == 1);
  RepairWorker never_started(ledger.doors());
  never_started.stop();
}

TEST_CASE("repair worker: a door that fails ends nothing") {
  Sides sides;
  Ledger ledger;
  ledger.add(task_of(sides, "key"));
  RepairDoors doors = ledger.doors();
  int asked = 0;
  doors.due = [&asked, due = doors.due](std::size_t max) {
    if (++asked < 3) throw std::runtime_error("no memory");
    return due(max);
  };
  RepairWorker worker(doors);
  worker.start();
  CHECK(ledger.comes([](Ledger& now) { return now.due_.empty(); }));
}

}  // namespace crossfade
