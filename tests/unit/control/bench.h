// The services of the control plane over a real store, a data plane that records, and servers that
// say what they are told to say.
#pragma once

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "control/json/write.h"
#include "control/service/apis.h"
#include "control/service/boot.h"
#include "control/service/conductor.h"
#include "control/service/divergence.h"
#include "control/service/dual_writes.h"
#include "control/service/endpoints.h"
#include "control/service/guard.h"
#include "control/service/housekeeper.h"
#include "control/service/interlays.h"
#include "control/service/migrations.h"
#include "control/service/repairs.h"
#include "control/service/templates.h"
#include "control/service/timekeeper.h"
#include "control/service/verifications.h"
#include "control/service/watched_servers.h"
#include "json_literal.h"
#include "temp_folder.h"

namespace crossfade {

// Records what control asks of the data plane, and fails when told to.
class RecordedPlane {
 public:
  DataPlane plane() {
    return {.publish = [this](TablePtr next) { return publish(std::move(next)); },
            .listen = [this](const ListenSpec& spec) { return listen(spec); },
            .unlisten = [this](const std::string& id, std::uint32_t) { open.erase(id); },
            .telemetry =
                [this] {
                  const std::lock_guard held(mutex);
                  return telemetry;
                }};
  }

  // The route of an interlay in the table that is in force.
  const InterlayRoute& route(const std::string& id) const {
    REQUIRE(table != nullptr);
    for (const InterlayRoutePtr& one : table->interlays) {
      if (one->id == id) return *one;
    }
    FAIL("no route of " << id);
    return *table->interlays.front();
  }

  void count_new_only_writes(const std::string& id, std::uint64_t writes) {
    const std::lock_guard held(mutex);
    for (InterlayTraffic& traffic : telemetry.interlays) {
      if (traffic.id == id) traffic.new_only_writes = writes;
    }
  }

  TablePtr table;                     // the last one adopted
  std::vector<std::uint64_t> epochs;  // of all that were handed out
  std::map<std::string, std::uint16_t> open;
  std::set<std::uint16_t> ports_in_use;
  int publishes_to_fail = 0;             // so many of the next publishes time out
  std::function<void()> when_published;  // before the loops would take it over
  std::mutex mutex;
  Telemetry telemetry;

 private:
  Status publish(TablePtr next) {
    CHECK((epochs.empty() || next->epoch > epochs.back()));
    epochs.push_back(next->epoch);
    if (when_published) when_published();
    if (publishes_to_fail > 0) {
      --publishes_to_fail;
      return Error{Errc::Timeout, "", "a loop does not answer"};
    }
    table = std::move(next);
    const std::lock_guard held(mutex);
    telemetry.adopted_epoch = table->epoch;
    std::vector<InterlayTraffic> kept;
    for (const InterlayRoutePtr& route : table->interlays) {
      InterlayTraffic traffic;
      for (const InterlayTraffic& old : telemetry.interlays) {
        if (old.id == route->id) traffic = old;
      }
      traffic.id = route->id;
      kept.push_back(traffic);
    }
    telemetry.interlays = std::move(kept);
    return success();
  }

  Result<std::uint16_t> listen(const ListenSpec& spec) {
    REQUIRE(table != nullptr);
    (void)route(spec.interlay);  // its route must be published before its port is opened
    const std::uint16_t port = spec.port == 0 ? next_free_++ : spec.port;
    bool taken = ports_in_use.contains(port);
    for (const auto& [id, other] : open) taken = taken || other == port;
    if (taken) return Error{Errc::Conflict, "", "address in use"};
    open[spec.interlay] = port;
    return port;
  }

  std::uint16_t next_free_ = 40'000;
};

// Servers by port.
struct ToldServers {
  std::map<std::uint16_t, RedisProbe> up;
  std::map<std::uint16_t, WritesTold> writes;  // others take them
  std::map<std::uint16_t, Error> refusing;
  std::mutex mutex;
  int asked = 0;
  // Set before any thread asks; several may ask at once.
  std::function<void(std::uint16_t port)> when_asked;
  std::function<void()> when_first_asked;  // once, in the midst of the first question

  std::map<std::uint16_t, PostgresProbe> postgres;
  std::map<std::uint16_t, PostgresSurvey> surveys;
  std::map<std::uint16_t, CatalogRows> catalogs;

  Prober prober() {
    return {.redis =
                [this](const EndpointAddress& address, std::uint32_t) {
                  if (when_asked) when_asked(address.port);
                  if (const auto hook = take_first()) hook();
                  return told(up, address);
                },
            .redis_writes =
                [this](const EndpointAddress& address, std::uint32_t) {
                  const auto found = writes.find(address.port);
                  return found == writes.end() ? WritesTold{WritesTold::Answer::Taken}
                                               : found->second;
                },
            .postgres = [this](const EndpointAddress& address,
                               std::uint32_t) { return told(postgres, address); },
            .survey = [this](const EndpointAddress& address,
                             std::uint32_t) { return told(surveys, address); },
            .catalog = [this](const EndpointAddress& address, std::uint32_t,
                              const std::stop_token&) { return told(catalogs, address); },
            .describe =
                [this](const EndpointAddress&, const std::vector<std::string>& statements,
                       std::uint32_t) {
                  std::vector<Result<SqlShape>> found;
                  for (const std::string& sql : statements) found.push_back(shape_of(sql));
                  return Result(std::move(found));
                }};
  }
  std::function<void()> take_first() {
    const std::lock_guard held(mutex);
    return std::exchange(when_first_asked, nullptr);
  }
  std::map<std::string, SqlShape> shapes;  // by text; others are refused
  Result<SqlShape> shape_of(const std::string& sql) const {
    const auto found = shapes.find(sql);
    if (found != shapes.end()) return found->second;
    return Error{Errc::BadInput, "", "no such thing"};
  }
  template <class Answer>
  Result<Answer> told(const std::map<std::uint16_t, Answer>& answers,
                      const EndpointAddress& address) {
    const std::lock_guard held(mutex);
    ++asked;
    if (const auto no = refusing.find(address.port); no != refusing.end()) return no->second;
    const auto found = answers.find(address.port);
    if (found != answers.end()) return found->second;
    return Error{Errc::Unavailable, "connect to endpoint '" + address.id + "'",
                 "Connection refused"};
  }

  // What full verification finds; set before any thread asks.
  std::function<VerifyCounts(const std::function<void(SuspectKey)>& found,
                             const std::function<void(const VerifyCounts&)>& progress,
                             const std::stop_token& stop)>
      when_verified;
  Verifier verifier() {
    return {.redis = [this](const EndpointAddress&, const EndpointAddress&, const auto& found,
                            const auto& progress, const std::stop_token& stop) {
      return when_verified(found, progress, stop);
    }};
  }

  static RedisProbe healthy() {
    RedisProbe probe;
    probe.version = "7.0.15";
    probe.server = "redis";
    probe.role = "master";
    probe.persists = true;
    probe.persistence_known = true;
    probe.commands = redis::CommandTable::built_in();
    return probe;
  }
};

inline const Reply& must(const Answer& answer) {
  const auto* refusal = std::get_if<Refusal>(&answer);
  REQUIRE_MESSAGE(refusal == nullptr, (refusal == nullptr ? "" : refusal->message));
  return std::get<Reply>(answer);
}

// "409 Migration error: …", or "200".
inline std::string said(const Answer& answer) {
  if (const auto* reply = std::get_if<Reply>(&answer)) return std::to_string(reply->status);
  const auto& refusal = std::get<Refusal>(answer);
  return std::to_string(refusal.status) + " " + refusal.error + ": " + refusal.message;
}

inline std::string text_of(const Json& json, std::string_view name) {
  const Json* member = json.find(name);
  REQUIRE_MESSAGE(member != nullptr, name);
  return member->string() != nullptr ? *member->string() : to_text(*member);
}

// What is logged while this lives, at every level.
class CapturedLog {
 public:
  CapturedLog() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
    auto logger = std::make_shared<spdlog::logger>("captured", std::move(sink));
    logger->set_level(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;

  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

// One life of the process: from opening the store to its end, clean or not.
class Life {
 public:
  Life(const std::string& path, RecordedPlane& recorded, ToldServers& told, Clock clock,
       MonotonicClock monotonic = monotonic_clock(), const DeclaredResources& declared = {})
      : data_plane(recorded.plane()),
        servers(told.prober()),
        store(open(path, monotonic)),
        keeper(*store, data_plane, servers, {}, {.instance = "one", .region = "here"}, clock),
        listeners(data_plane, 0),
        new_only_writes(*store, keeper, data_plane),
        ledger({}),
        dual_writes(ledger, keeper, servers, data_plane),
        endpoints(keeper, servers),
        interlays(keeper, servers, listeners, new_only_writes, auth),
        templates(keeper),
        apis(keeper),
        verifications(keeper, ledger, servers, told.verifier()),
        conductor(keeper, servers, new_only_writes, ledger, data_plane, clock),
        guard(*store, keeper, conductor, servers, new_only_writes, ledger, data_plane, monotonic,
              [] { return 0.5; }),
        migrations(keeper, *store, interlays, new_only_writes, ledger, verifications, servers,
                   data_plane, guard),
        timekeeper(*store, keeper, conductor, std::move(clock), std::move(monotonic)),
        divergence(keeper, ledger, verifications),
        repairs(keeper, ledger),
        booted(boot_all(declared)) {}

  BootParts parts() {
    return {keeper, servers, listeners, new_only_writes, dual_writes, conductor};
  }

  const DataPlane data_plane;
  Servers servers;
  std::unique_ptr<StateFile> store;
  Keeper keeper;
  Listeners listeners;
  AuthDoor auth;
  NewOnlyWrites new_only_writes;
  Ledger ledger;
  DualWrites dual_writes;
  Endpoints endpoints;
  Interlays interlays;
  Templates templates;
  Apis apis;
  Verifications verifications;
  Conductor conductor;
  Guard guard;
  Migrations migrations;
  Timekeeper timekeeper;
  Divergence divergence;
  Repairs repairs;
  const Status booted;

 private:
  Status boot_all(const DeclaredResources& declared) {
    if (Status status = ledger.open(store->beside("-ledger")); !status) return status;
    return boot(parts(), declared);
  }
  static std::unique_ptr<StateFile> open(const std::string& path, const MonotonicClock& clock) {
    auto store = StateFile::open(path, 2'000, clock);
    REQUIRE_MESSAGE(store.ok(), (store.ok() ? "" : store.error().message()));
    return std::move(*store);
  }
};

// A life with two servers and what can be defined before them.
struct Bench {
  CapturedLog log;
  TempFolder folder;
  RecordedPlane plane;
  ToldServers told;
  std::int64_t now_ms = 0;           // of the guard, of leases and of ramps
  std::int64_t now = 1'705'283'999;  // Unix time: a second before 2024-01-15T02:00:00Z
  // On the heap, where a sanitizer sees the mutexes of one life end before those of the next begin.
  std::unique_ptr<Life> life;
  Call call{.actor = "tester", .if_match = {}};

  Bench() {
    told.up[1] = ToldServers::healthy();
    told.up[2] = ToldServers::healthy();
    told.postgres[11] = {.entered = true, .version = "15.8"};
    told.postgres[12] = {.entered = true, .version = "18.0"};
    for (const auto& [port, probe] : told.postgres) told.surveys[port].probe = probe;
    restart();
  }

  std::string path() const { return folder.file("state.db"); }

  // Ends the process without a farewell, and starts the next one on its file.
  void restart(const DeclaredResources& declared = {}) {
    life.reset();
    plane.table = nullptr;
    plane.epochs.clear();
    plane.open.clear();
    plane.telemetry = {};
    life = std::make_unique<Life>(
        path(), plane, told, [this] { return now; }, [this] { return now_ms; }, declared);
  }

  void add_endpoint(const std::string& id, int port) {
    must(life->endpoints.create(
        json(R"({"id":")" + id + R"(","kind":"redis","config":{"host":"10.0.0.1","port":)" +
             std::to_string(port) + "}}"),
        call));
  }
  void add_interlay(const std::string& id, const std::string& endpoint, int port) {
    must(life->interlays.create(json(R"({"id":")" + id + R"(","endpoint":")" + endpoint +
                                     R"(","port":)" + std::to_string(port) + "}"),
                                call));
  }
  // Endpoints "old" and "new", interlay "cache" before old on port 7001.
  void add_sides() {
    add_endpoint("old", 1);
    add_endpoint("new", 2);
    add_interlay("cache", "old", 7001);
  }
  void add_template(const std::string& id, const std::string& endpoint, const std::string& query) {
    must(life->templates.create(
        json(R"({"id":")" + id + R"(","endpoint":")" + endpoint + R"(","query":")" + query + "\"}"),
        call));
  }
  void add_api(const std::string& id, const std::string& bindings) {
    must(life->apis.create(json(R"({"id":")" + id + R"(","bindings":)" + bindings + "}"), call));
  }
  void add_migration(const std::string& id, const std::string& strategy) {
    must(life->migrations.create(json(R"({"id":")" + id + R"(","strategy":)" + strategy + "}"),
                                 call));
  }
  void bind(const std::string& id) {
    must(life->migrations.add_interlay(id, "cache", json(R"({"endpoint":"new"})"), call));
  }
  // A migration of "cache" from old to new, ready.
  void add_ready(const std::string& id, const std::string& strategy) {
    add_migration(id, strategy);
    bind(id);
  }
  void add_running(const std::string& id, const std::string& strategy) {
    add_ready(id, strategy);
    must(life->conductor.migrate(id, call));
  }

  Answer patch(const std::string& id, const std::string& body) {
    return life->migrations.patch(id, json(body), call);
  }
  Answer patch_strategy(const std::string& id, const std::string& strategy) {
    return patch(id, R"({"strategy":)" + strategy + "}");
  }

  std::string status(const std::string& id) {
    return text_of(must(life->migrations.get(id, call)).data, "status");
  }
  std::vector<std::string> journal(const std::string& id) {
    std::vector<std::string> lines;
    const Answer answer = life->migrations.events(id, call);
    for (const Json& event : *must(answer).data.elements()) {
      lines.push_back(text_of(event, "from") + " -> " + text_of(event, "to") + " by " +
                      text_of(event, "actor"));
    }
    return lines;
  }
};

inline constexpr const char* kShadow = R"({"type":"shadow_traffic"})";
inline constexpr const char* kCanary =
    R"({"type":"canary","read_percentage":0.05,"write_mode":{"mode":"dual_write","policy":"old_authoritative"}})";

}  // namespace crossfade
