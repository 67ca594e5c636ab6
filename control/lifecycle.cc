// The table of moves, one function for each status to leave.
#include "control/lifecycle.h"

namespace crossfade {

const char* name_of(MigrationStatus status) {
  switch (status) {
    case MigrationStatus::Pending:
      return "pending";
    case MigrationStatus::Ready:
      return "ready";
    case MigrationStatus::Running:
      return "running";
    case MigrationStatus::Paused:
      return "paused";
    case MigrationStatus::Completed:
      return "completed";
    case MigrationStatus::Failed:
      return "failed";
    case MigrationStatus::RollingBack:
      return "rolling_back";
    case MigrationStatus::RolledBack:
      return "rolled_back";
  }
  return "pending";
}

std::optional<MigrationStatus> migration_status(std::string_view name) {
  for (const MigrationStatus status : kMigrationStatuses) {
    if (name == name_of(status)) return status;
  }
  return std::nullopt;
}

const char* title_of(MigrationStatus status) {
  switch (status) {
    case MigrationStatus::Pending:
      return "Pending";
    case MigrationStatus::Ready:
      return "Ready";
    case MigrationStatus::Running:
      return "Running";
    case MigrationStatus::Paused:
      return "Paused";
    case MigrationStatus::Completed:
      return "Completed";
    case MigrationStatus::Failed:
      return "Failed";
    case MigrationStatus::RollingBack:
      return "RollingBack";
    case MigrationStatus::RolledBack:
      return "RolledBack";
  }
  return "Pending";
}

namespace {

using enum MigrationStatus;

// One function per status to leave, each naming every status to reach.
bool may_leave_pending(MigrationStatus to) {
  switch (to) {
    case Ready:
      return true;
    case RolledBack:
      return true;  // cancelled: nothing had moved
    case Pending:
    case Running:
    case Paused:
    case Completed:
    case Failed:
    case RollingBack:
      return false;
  }
  return false;
}

bool may_leave_ready(MigrationStatus to) {
  switch (to) {
    case Running:
      return true;
    case RolledBack:
      return true;  // cancelled: nothing had moved
    case Pending:
    case Ready:
    case Paused:
    case Completed:
    case Failed:
    case RollingBack:
      return false;
  }
  return false;
}

bool may_leave_running(MigrationStatus to) {
  switch (to) {
    case Paused:
    case Completed:
    case Failed:
    case RollingBack:
      return true;
    case Pending:
    case Ready:
    case Running:
    case RolledBack:
      return false;
  }
  return false;
}

bool may_leave_paused(MigrationStatus to) {
  switch (to) {
    case Running:
    case Failed:
    case RollingBack:
      return true;
    case Pending:
    case Ready:
    case Paused:
    case Completed:
    case RolledBack:
      return false;
  }
  return false;
}

bool may_leave_completed(MigrationStatus to) {
  switch (to) {
    case RollingBack:
      return true;
    case Pending:
    case Ready:
    case Running:
    case Paused:
    case Completed:
    case Failed:
    case RolledBack:
      return false;
  }
  return false;
}

bool may_leave_failed(MigrationStatus to) {
  switch (to) {
    case Running:  // tried again
    case RollingBack:
      return true;
    case Pending:
    case Ready:
    case Paused:
    case Completed:
    case Failed:
    case RolledBack:
      return false;
  }
  return false;
}

bool may_leave_rolling_back(MigrationStatus to) {
  switch (to) {
    case RolledBack:
    case Failed:
      return true;
    case Pending:
    case Ready:
    case Running:
    case Paused:
    case Completed:
    case RollingBack:
      return false;
  }
  return false;
}

bool may_leave_rolled_back(MigrationStatus to) {
  switch (to) {
    case Running:
      return true;  // tried again
    case Pending:
    case Ready:
    case Paused:
    case Completed:
    case Failed:
    case RollingBack:
    case RolledBack:
      return false;
  }
  return false;
}

}  // namespace

bool may_move(MigrationStatus from, MigrationStatus to) {
  switch (from) {
    case Pending:
      return may_leave_pending(to);
    case Ready:
      return may_leave_ready(to);
    case Running:
      return may_leave_running(to);
    case Paused:
      return may_leave_paused(to);
    case Completed:
      return may_leave_completed(to);
    case Failed:
      return may_leave_failed(to);
    case RollingBack:
      return may_leave_rolling_back(to);
    case RolledBack:
      return may_leave_rolled_back(to);
  }
  return false;
}

Error forbidden_move(MigrationStatus from, MigrationStatus to) {
  return Error{
      Errc::Conflict, "",
      std::string("Cannot set ") + title_of(to) + " migration in status: " + title_of(from)};
}

bool routes(MigrationStatus status) {
  switch (status) {
    case Running:
    case Paused:
    case Completed:
    case Failed:
      return true;
    case Pending:
    case Ready:
    case RollingBack:
    case RolledBack:
      return false;
  }
  return false;
}

bool holds_resources(MigrationStatus status) {
  switch (status) {
    case Pending:
    case Ready:
    case Running:
    case Paused:
    case Completed:
    case Failed:
    case RollingBack:
      return true;
    case RolledBack:
      return false;
  }
  return false;
}

}  // namespace crossfade
