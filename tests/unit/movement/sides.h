// Two real servers as the sides of a migration, and the doors of repair over them.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "movement/redis_connection.h"
#include "movement/redis_repair.h"
#include "server.h"

namespace crossfade {

inline constexpr std::uint32_t kTestLimit_ms = 20'000;  // generous: the machine may be busy

inline EndpointAddress address_of(const char* id, const RedisServer& server) {
  EndpointAddress address;
  address.id = id;
  address.host = "127.0.0.1";
  address.port = server.port();
  return address;
}

inline RedisConnection connect(const EndpointAddress& address) {
  auto opened = RedisConnection::open(address, kTestLimit_ms);
  REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().message()));
  return std::move(opened.value());
}

// One command whose answer is no error.
inline RedisReply ask(RedisConnection& connection, const RedisCommand& command) {
  auto reply = connection.call(command);
  REQUIRE_MESSAGE(reply.ok(), (reply.ok() ? "" : reply.error().message()));
  CHECK_MESSAGE(!reply->is_error(), reply->text);
  return std::move(reply.value());
}

class Sides {
 public:
  explicit Sides(std::vector<std::string> old_directives = {},
                 std::vector<std::string> new_directives = {})
      : servers{std::make_unique<RedisServer>(with_nothing_saved(std::move(old_directives))),
                std::make_unique<RedisServer>(with_nothing_saved(std::move(new_directives)))} {
    task.migration = "move";
    task.old_side = address_of("old", *servers[0]);
    task.new_side = address_of("new", *servers[1]);
  }

  RedisConnection to_old() const { return connect(task.old_side); }
  RedisConnection to_new() const { return connect(task.new_side); }

  Settled settle(const std::string& key, std::int32_t db = kDefaultDb) {
    task.at = {db, key};
    return repair.settle(task);
  }

  // It is settled by a copy, and then found equal without one.
  void check_repairs(const std::string& key, std::int32_t db = kDefaultDb) {
    INFO("key " << key);
    const Settled copied = settle(key, db);
    CHECK_MESSAGE(copied.outcome == RepairOutcome::Repaired, copied.why);
    check_equal(key, db);
  }
  void check_equal(const std::string& key, std::int32_t db = kDefaultDb) {
    INFO("key " << key);
    const Settled again = settle(key, db);
    CHECK_MESSAGE(again.outcome == RepairOutcome::Equal, again.why);
    CHECK(again.bytes_copied == 0);
  }
  // The reason of the failure.
  std::string check_fails(const std::string& key, std::int32_t db = kDefaultDb) {
    const Settled failed = settle(key, db);
    CHECK(
        (failed.outcome == RepairOutcome::Failed || failed.outcome == RepairOutcome::Unreachable));
    CHECK_FALSE(failed.why.empty());
    return failed.why;
  }

  std::array<std::unique_ptr<RedisServer>, 2> servers;  // index: Side
  RepairTask task;
  RepairLimits limits;
  std::mutex turn;                          // what hold() holds
  std::function<void()> when_held = [] {};  // called as it is
  std::array<std::vector<ServersClient>, 2> ghosts;
  bool leave = true;                              // to write copies
  std::map<std::string, std::uint64_t> expiries;  // that it has told of
  bool rests = false;
  bool wakes = true;  // no write that relies on the rest is in flight
  RepairDoors doors{
      .due = [](std::size_t) { return std::vector<RepairTask>(); },
      .settle = [](const RepairTask&, RepairOutcome, const std::string&) {},
      .hold =
          [this](const RepairTask&, std::uint32_t) {
            turn.lock();
            when_held();
            return std::shared_ptr<void>(this, [this](void*) { turn.unlock(); });
          },
      .right = [](const RepairTask& one) { return one.right; },
      .expires = [this](const RepairTask& one,
                        std::uint64_t at_ms) { expiries[one.at.key] = at_ms; },
      .ghosts = [this](const RepairTask&,
                       Side side) { return ghosts[static_cast<std::size_t>(side)]; },
      .fenced =
          [this](const RepairTask&, Side side, const std::vector<ServersClient>& gone) {
            for (const ServersClient& client : gone)
              std::erase(ghosts[static_cast<std::size_t>(side)], client);
          },
      .may_copy = [this](const std::string&,
                         Side) { return leave ? std::make_shared<int>() : nullptr; },
      .rest = [this](const RepairTask&) { rests = true; },
      .wake =
          [this](const RepairTask&, std::uint32_t) {
            rests = false;
            return wakes;
          }};
  RedisRepair repair{doors, limits, {}};

 private:
  static std::vector<std::string> with_nothing_saved(std::vector<std::string> directives) {
    directives.insert(directives.begin(), {"--save", ""});
    return directives;
  }
};

}  // namespace crossfade
