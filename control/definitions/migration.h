// Migrations: what moves, by which strategy, and how far it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "control/definitions/api.h"
#include "control/definitions/guardrails.h"
#include "control/definitions/identity.h"
#include "control/definitions/strategy.h"
#include "control/json/value.h"
#include "control/lifecycle.h"
#include "protocols/base/result.h"

namespace crossfade {

// How historical data is to be moved.
struct DataMovement {
  enum class Type : std::uint8_t { None, Snapshot, Scan } type = Type::None;
  enum class Replace : std::uint8_t { None, Replace, Merge } replace = Replace::None;

  bool operator==(const DataMovement&) const = default;
};

// What happens when a component fails.
struct FailureHandling {
  enum class Type : std::uint8_t { RollbackAll, RetryThenAll, AllowPartial };
  Type type = Type::RollbackAll;
  std::uint32_t retry_count = 0;  // RetryThenAll

  bool operator==(const FailureHandling&) const = default;
};

// What a caller declares.
struct MigrationSpec {
  std::string id;
  std::string description;
  StrategySpec strategy;
  DataMovement data;
  FailureHandling failure_handling;
  std::optional<Guardrails> guardrails = {};

  bool operator==(const MigrationSpec&) const = default;
};

// An interlay that takes part, and the endpoint it moves to. Uuids.
struct Binding {
  std::string interlay;
  std::string endpoint;
  // Failed alone, and sends everything to old while the others go on (allow_partial).
  bool taken_back = false;

  bool operator==(const Binding&) const = default;
};

inline constexpr std::size_t kReasonMax = 16'384;  // bytes
// An api that takes part, and the templates that serve it on the new side. Uuids.
struct ApiBinding {
  std::string api;
  std::vector<TemplateBinding> bindings;

  bool operator==(const ApiBinding&) const = default;
};

struct Migration {
  Identity identity;
  MigrationSpec spec;  // spec.id == identity.id
  MigrationStatus status = MigrationStatus::Pending;
  std::vector<Binding> bindings;  // interlays
  std::vector<ApiBinding> apis = {};
  std::string reason = {};  // of the status, as the journal has it
  bool forced = false;      // started whatever its test found
};

// Reads {"id", "description"?, "strategy"?, "data"?, "failure_handling"?, "guardrails"?} as POST
// takes it.
//   errors  BadInput with the path, or the mission's words for a strategy that this version lacks
Result<MigrationSpec> read_migration(const Json& body);

// Applies a PATCH body on top of `spec`.
Result<MigrationSpec> patch_migration(const MigrationSpec& spec, const Json& body);

Json render(const DataMovement& data);                 // "none" | {"type", "replace"}
Json render(const FailureHandling& failure_handling);  // "rollback_all" | {"type", "retry_count"}

Json to_stored(const Migration& migration);
Result<Migration> migration_from_stored(const Json& stored);

}  // namespace crossfade
