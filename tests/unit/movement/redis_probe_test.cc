// What a real server says about itself arrives; what it refuses stays unknown; what fails says so
// in time.
#include "movement/redis_probe.h"

#include <doctest/doctest.h>

#include <chrono>

#include "movement/redis_connection.h"
#include "server.h"

namespace crossfade {

namespace {

EndpointAddress address_of(std::uint16_t port) {
  EndpointAddress address;
  address.id = "target";
  address.host = "127.0.0.1";
  address.port = port;
  return address;
}

RedisProbe must(const Result<RedisProbe>& told) {
  REQUIRE_MESSAGE(told.ok(), (told.ok() ? "" : told.error().message()));
  return told.value();
}

void run(const EndpointAddress& address, const std::vector<std::vector<std::string_view>>& calls) {
  auto connection = RedisConnection::open(address, kLimit_ms);
  REQUIRE(connection.ok());
  for (const auto& call : calls) {
    auto reply = connection->call(call);
    REQUIRE(reply.ok());
    CHECK_MESSAGE(!reply->is_error(), reply->text);
  }
}

}  // namespace

TEST_CASE("probe: a plain server tells everything") {
  RedisServer server({"--save", "", "--maxmemory", "104857600", "--databases", "20"});
  const EndpointAddress address = address_of(server.port());
  run(address, {{"SET", "a", "1"}, {"SELECT", "3"}, {"SET", "b", "1"}, {"SET", "c", "1"}});
  const RedisProbe probe = must(probe_redis(address, kLimit_ms));
  CHECK(probe.server == "redis");
  CHECK(probe.version.find('.') != std::string::npos);
  CHECK(probe.role == "master");
  CHECK(probe.sight.run_id.size() == 40);
  CHECK(probe.sight.evicted_keys == 0);
  CHECK(probe.eviction_policy == "noeviction");
  CHECK_FALSE(probe.loading);
  CHECK_FALSE(probe.cluster);
  CHECK(probe.databases == 20);
  CHECK(probe.persistence_known);
  CHECK_FALSE(probe.persists);
  CHECK(probe.used_memory > 100'000);
  CHECK(probe.maxmemory == 104'857'600);
  CHECK(probe.keys == 3);
  CHECK(probe.latency_us > 0);
  REQUIRE(probe.commands != nullptr);
  REQUIRE(probe.commands->find("get") != nullptr);
  CHECK(probe.commands->find("get")->kind == Kind::Read);
  CHECK(probe.commands->find("set")->kind == Kind::Write);
  CHECK(probe.commands->find("client", "reply") != nullptr);
}

TEST_CASE("probe: either way of persisting counts") {
  RedisServer saving({"--save", "3600 1"});
  CHECK(must(probe_redis(address_of(saving.port()), kLimit_ms)).persists);
  RedisServer logging({"--save", "", "--appendonly", "yes"});
  CHECK(must(probe_redis(address_of(logging.port()), kLimit_ms)).persists);
}

TEST_CASE("probe: a server that refuses CONFIG and COMMAND is still known by its INFO") {
  RedisServer server(
      {"--save", "", "--rename-command", "CONFIG", "", "--rename-command", "COMMAND", ""});
  const RedisProbe probe = must(probe_redis(address_of(server.port()), kLimit_ms));
  CHECK_FALSE(probe.version.empty());
  CHECK_FALSE(probe.persistence_known);
  CHECK(probe.databases == 16);
  CHECK(probe.commands == nullptr);
}

TEST_CASE("probe: a log that is on is certain even where CONFIG is refused") {
  RedisServer server({"--save", "", "--appendonly", "yes", "--rename-command", "CONFIG", ""});
  const RedisProbe probe = must(probe_redis(address_of(server.port()), kLimit_ms));
  CHECK(probe.persistence_known);
  CHECK(probe.persists);
}

TEST_CASE("probe: credentials open, wrong or missing ones are refused without being told") {
  RedisServer server(
      {"--requirepass", "s3cret", "--user", "app", "on", ">app-s3cret", "~*", "+@all"});
  EndpointAddress address = address_of(server.port());
  const auto refusal = [&] {
    const auto told = probe_redis(address, kLimit_ms);
    REQUIRE_FALSE(told.ok());
    CHECK(told.error().code == Errc::BadConfig);
    CHECK(told.error().message().find("target") != std::string::npos);
    CHECK(told.error().message().find("s3cret") == std::string::npos);
    return told.error().message();
  };
  CHECK(refusal().find("NOAUTH") != std::string::npos);
  address.password = "wrong-s3cret";
  CHECK(refusal().find("WRONGPASS") != std::string::npos);
  address.password = "s3cret";
  must(probe_redis(address, kLimit_ms));
  address.username = "app";
  CHECK(refusal().find("WRONGPASS") != std::string::npos);
  address.password = "app-s3cret";
  must(probe_redis(address, kLimit_ms));
}

TEST_CASE("probe: a database that is not there is refused") {
  RedisServer server({"--databases", "2"});
  EndpointAddress address = address_of(server.port());
  address.db = 1;
  must(probe_redis(address, kLimit_ms));
  address.db = 2;
  const auto told = probe_redis(address, kLimit_ms);
  REQUIRE_FALSE(told.ok());
  CHECK(told.error().code == Errc::BadConfig);
}

TEST_CASE("probe: a replica says so") {
  RedisServer master;
  RedisServer replica({"--replicaof", "127.0.0.1 " + std::to_string(master.port())});
  CHECK(must(probe_redis(address_of(replica.port()), kLimit_ms)).role == "slave");
}

TEST_CASE("probe: whether a server takes writes is told by itself, and nothing is written") {
  using Answer = WritesTold::Answer;
  const auto asked = [](const EndpointAddress& address) {
    const WritesTold told = ask_for_writes(address, kLimit_ms);
    return std::pair(told.answer, told.why.substr(0, told.why.find(' ')));
  };
  const auto of = [&](const std::vector<std::string>& directives) {
    const RedisServer server(directives);
    return asked(address_of(server.port()));
  };
  RedisServer master(
      {"--save", "", "--user", "app", "on", "nopass", "~app:*", "+@all", "-info", "-ping"});
  EndpointAddress address = address_of(master.port());
  CHECK(asked(address) == std::pair(Answer::Taken, std::string()));
  CHECK(must(probe_redis(address, kLimit_ms)).keys == 0);
  RedisServer replica({"--replicaof", "127.0.0.1 " + std::to_string(master.port())});
  CHECK(asked(address_of(replica.port())) == std::pair(Answer::Refused, std::string("READONLY")));
  CHECK(of({"--min-replicas-to-write", "1"}) ==
        std::pair(Answer::Refused, std::string("NOREPLICAS")));
  CHECK(of({"--maxmemory", "1"}) == std::pair(Answer::Refused, std::string("OOM")));
  CHECK(of({"--rename-command", "MULTI", ""}) == std::pair(Answer::NotTold, std::string("ERR")));
  address.username = "app";
  address.password = "any";
  CHECK(asked(address) == std::pair(Answer::NotTold, std::string("NOPERM")));
  const RedisProbe probe = must(probe_redis(address, kLimit_ms));
  CHECK(probe.info_refused);
  CHECK(probe.ping_refusal.empty());  // it is the user who may not
  CHECK(probe.role.empty());
  run(address_of(master.port()), {{"CLIENT", "PAUSE", "60000", "WRITE"}});
  address = address_of(master.port());
  REQUIRE(probe_redis(address, kLimit_ms).ok());  // all but writes is answered
  const WritesTold hanging = ask_for_writes(address, 200);
  CHECK(hanging.answer == Answer::Silent);
  CHECK(hanging.why == "ask endpoint 'target': no answer in time");
  master.end();
  CHECK(asked(address).first == Answer::Silent);
}

TEST_CASE(
    "probe: a port where nobody listens, a name that nobody has, and silence are all unavailable") {
  const std::uint16_t closed = SilentPort().port();
  CHECK(probe_redis(address_of(closed), kLimit_ms).error().code == Errc::Unavailable);
  EndpointAddress nowhere = address_of(1);
  nowhere.host = "no-such-host.invalid";
  CHECK(probe_redis(nowhere, kLimit_ms).error().code == Errc::Unavailable);
  SilentPort silent;
  const auto began = std::chrono::steady_clock::now();
  const auto told = probe_redis(address_of(silent.port()), 200);
  REQUIRE_FALSE(told.ok());
  CHECK(told.error().message() == "ask endpoint 'target': no answer in time");
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
}

}  // namespace crossfade
