// What we know about the servers behind endpoints: their commands, and whether they answer.
//
// Filled by whoever asks a server for whatever reason. Any thread.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "control/json/value.h"
#include "control/service/catalogs.h"
#include "control/state.h"
#include "strategies/ports.h"

namespace crossfade {

inline constexpr std::chrono::seconds kListedFor{5};  // lists show what is no older

class Servers {
 public:
  explicit Servers(Prober prober) : prober_(std::move(prober)), catalogs_(prober_) {}

  // What PostgreSQL servers tell of their catalogs.
  Catalogs& catalogs() { return catalogs_; }
  const Catalogs& catalogs() const { return catalogs_; }

  // Whether the server at an endpoint's address answers, and lets us in; blocks up to timeout_ms.
  // What it says is kept under the endpoint's uuid.
  Status check(const std::string& uuid, const EndpointAddress& address, std::uint32_t timeout_ms);

  // Whether anybody answers there. Likewise; one that does not let us in does, as it lets clients
  // in who bring credentials of their own.
  Status check_answers(const Endpoint& endpoint, std::uint32_t timeout_ms);

  // What a Redis server tells. Likewise (not kept when the uuid is empty).
  Result<RedisProbe> ask(const std::string& uuid, const EndpointAddress& address,
                         std::uint32_t timeout_ms);

  // Whether a Redis server takes writes. Likewise; nothing is kept.
  WritesTold ask_for_writes(const EndpointAddress& address, std::uint32_t timeout_ms) const;

  // What a PostgreSQL server tells. Likewise.
  Result<PostgresSurvey> survey(const Endpoint& endpoint, std::uint32_t timeout_ms);

  // What becomes of statements at a PostgreSQL server (Prober::describe). Nothing is kept.
  Result<std::vector<Result<SqlShape>>> describe(const Endpoint& endpoint,
                                                 const std::vector<std::string>& statements,
                                                 std::uint32_t timeout_ms) const {
    return prober_.describe(endpoint.address, statements, timeout_ms);
  }

  // As check(), unless the server was asked there within the last second: for callers who may come
  // often, and must not become a load on somebody's database.
  void refresh(const std::string& uuid, const EndpointAddress& address, std::uint32_t timeout_ms);

  // The same of many, several at once, unless asked within the last kListedFor. Begins with no
  // more of them after timeout_ms, and so blocks for up to twice that.
  void refresh_all(const ById<Endpoint>& endpoints, std::uint32_t timeout_ms);

  // Keeps what a server said, or why it said nothing.
  void note(const std::string& uuid, const EndpointAddress& address,
            const Result<RedisProbe>& told);
  void note(const std::string& uuid, const EndpointAddress& address,
            const Result<PostgresProbe>& told);

  // The commands of this endpoint's server, or the built-in table while it has not told; never
  // null.
  std::shared_ptr<const redis::CommandTable> commands_of(const Endpoint& endpoint) const;
  bool knows_commands_of(const Endpoint& endpoint) const;

  // Its commands, or its catalog: there is nothing left to ask it for.
  bool has_told(const Endpoint& endpoint) const;

  // What the process there called itself when it last told; empty: it never did.
  std::string run_id_of(const Endpoint& endpoint) const;
  // Who it was, if it answered when it was last asked, and told.
  std::optional<ServerSight> sight_of(const Endpoint& endpoint) const;

  // {"up", "since", "checked_at", "latency_us", "version", "last_error"}; null when never asked.
  Json health_of(const std::string& uuid) const;

  // Forgets endpoints that are no more, and what was told at an address that has changed.
  void forget(const std::string& uuid);

 private:
  struct Known {
    EndpointAddress address;                              // where it was told
    std::shared_ptr<const redis::CommandTable> commands;  // null: not told
    bool refused = false;  // it answered, but not to COMMAND: asking again is useless
    bool up = false;
    std::chrono::steady_clock::time_point asked_at;
    std::string since;
    std::string checked_at;
    std::string version;
    ServerSight sight;       // when it last answered
    std::string last_error;  // empty: none yet
    std::uint64_t latency_us = 0;
  };

  bool asked_within(std::chrono::milliseconds age, const std::string& uuid,
                    const EndpointAddress& address) const;
  // With the mutex held: what is known there now.
  Known& note_answer(const std::string& uuid, const EndpointAddress& address, const Error* error);

  const Prober prober_;
  Catalogs catalogs_;
  std::mutex refreshing_;  // of who refreshes all: whoever waits for it finds them asked
  mutable std::mutex mutex_;
  std::map<std::string, Known> known_;  // by uuid
};

}  // namespace crossfade
