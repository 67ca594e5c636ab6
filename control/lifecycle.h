// The life of a migration: its statuses, and which may follow which.
//
//   pending -> ready -> running <-> paused
//                       running -> completed | failed
//   running | paused | completed | failed -> rolling_back -> rolled_back
//
// Pure. A new status does not compile until every switch below has an answer for it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocols/base/result.h"

namespace crossfade {

enum class MigrationStatus : std::uint8_t {
  Pending,      // created, nothing attached
  Ready,        // something attached, can be executed
  Running,      // its strategy routes
  Paused,       // its strategy routes; progress stands still
  Completed,    // finished; its strategy routes until the migration is deleted or rolled back
  Failed,       // met an error it could not deal with; its strategy routes until it is rolled back
  RollingBack,  // everything to old; not yet settled
  RolledBack    // everything to old
};
inline constexpr std::array kMigrationStatuses = {
    MigrationStatus::Pending,     MigrationStatus::Ready,     MigrationStatus::Running,
    MigrationStatus::Paused,      MigrationStatus::Completed, MigrationStatus::Failed,
    MigrationStatus::RollingBack, MigrationStatus::RolledBack};

// "rolling_back", as the API and the journal have it.
const char* name_of(MigrationStatus status);
std::optional<MigrationStatus> migration_status(std::string_view name);

// "RollingBack", as messages have it.
const char* title_of(MigrationStatus status);

bool may_move(MigrationStatus from, MigrationStatus to);

// The refusal of a move: Conflict, "Cannot set RollingBack migration in status: Pending".
Error forbidden_move(MigrationStatus from, MigrationStatus to);

// True while the strategy decides where requests go; otherwise everything goes to old.
bool routes(MigrationStatus status);

// True while no other migration may have this one's interlays.
bool holds_resources(MigrationStatus status);

}  // namespace crossfade
