// The two doors between control and the rest of the process, as plain functions that main connects.
//
// Control never sees a loop, a socket of the data plane, or a database client: it hands tables to a
// DataPlane and asks a Prober about servers. Tests hand it lambdas.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "protocols/base/result.h"
#include "strategies/table.h"
#include "strategies/telemetry.h"

namespace crossfade {

struct ListenSpec {
  std::string interlay;  // id; its route must be in the published table
  std::string bind;      // numeric address
  std::uint16_t port;    // 0: any free one
};

struct DataPlane {
  // Hands a table to every loop and returns when all have adopted it: no request is planned by an
  // older one afterwards. Epochs must increase. Errc::Timeout when a loop is silent for 10 s.
  std::function<Status(TablePtr)> publish;
  // Opens the interlay's port on every loop; returns the port. Errc::Conflict when it is in use.
  std::function<Result<std::uint16_t>(const ListenSpec&)> listen;
  // Closes the port, lets the interlay's running requests finish (at most drain_ms), ends its
  // sessions.
  std::function<void(const std::string& interlay, std::uint32_t drain_ms)> unlisten;
  std::function<Telemetry()> telemetry;
};

// What a Redis server says about itself. Filled by one short connection.
struct RedisProbe {
  std::string version;  // "7.0.15"
  std::string server;   // "redis" | "valkey" | …
  std::string role;     // "master" | "slave"
  bool loading = false;
  bool cluster = false;
  std::uint32_t databases = 16;
  bool persists = false;                                // AOF on, or RDB save points configured
  bool persistence_known = false;                       // CONFIG GET may be forbidden
  std::uint64_t used_memory = 0;                        // bytes
  std::uint64_t maxmemory = 0;                          // bytes; 0: none
  std::uint64_t keys = 0;                               // in all databases
  std::uint64_t latency_us = 0;                         // of one PING
  std::shared_ptr<const redis::CommandTable> commands;  // null when COMMAND was refused
};

struct Prober {
  // Connects, logs in with the endpoint's credentials, selects its db, asks. Blocks up to
  // timeout_ms.
  std::function<Result<RedisProbe>(const EndpointAddress&, std::uint32_t timeout_ms)> redis;
};

}  // namespace crossfade
