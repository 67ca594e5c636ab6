// The whole table of moves, and the words of its refusals.
#include "control/lifecycle.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <utility>

namespace crossfade {

using enum MigrationStatus;

TEST_CASE("lifecycle: exactly these moves are permitted") {
  const std::set<std::pair<MigrationStatus, MigrationStatus>> permitted = {
      {Pending, Ready},      {Pending, RolledBack},  {Ready, Running},
      {Ready, RolledBack},   {Running, Paused},      {Running, Completed},
      {Running, Failed},     {Running, RollingBack}, {Paused, Running},
      {Paused, Failed},      {Paused, RollingBack},  {Completed, RollingBack},
      {Failed, Running},     {Failed, RollingBack},  {RollingBack, RolledBack},
      {RollingBack, Failed}, {RolledBack, Running},
  };
  for (const MigrationStatus from : kMigrationStatuses) {
    for (const MigrationStatus to : kMigrationStatuses) {
      CAPTURE(name_of(from));
      CAPTURE(name_of(to));
      CHECK(may_move(from, to) == permitted.contains({from, to}));
    }
  }
}

TEST_CASE("lifecycle: a refusal has the guide's words") {
  CHECK(forbidden_move(Pending, RollingBack).message() ==
        "Cannot set RollingBack migration in status: Pending");
  CHECK(forbidden_move(Running, Running).message() ==
        "Cannot set Running migration in status: Running");
}

TEST_CASE("lifecycle: names are the guide's, and each leads back to its status") {
  std::set<std::string> names;
  for (const MigrationStatus status : kMigrationStatuses) {
    names.insert(name_of(status));
    CHECK(migration_status(name_of(status)) == status);
  }
  CHECK(names == std::set<std::string>{"pending", "ready", "running", "paused", "completed",
                                       "failed", "rolling_back", "rolled_back"});
  CHECK_FALSE(migration_status("Running").has_value());
}

TEST_CASE("lifecycle: whatever routes holds its resources") {
  for (const MigrationStatus status : kMigrationStatuses) {
    if (routes(status)) CHECK(holds_resources(status));
  }
}

TEST_CASE("lifecycle: from everything that routes there is a way back") {
  for (const MigrationStatus status : kMigrationStatuses) {
    if (routes(status)) CHECK(may_move(status, RollingBack));
  }
}

}  // namespace crossfade
