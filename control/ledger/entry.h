// What the ledger says about itself: entries, reasons and figures, as copies.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "strategies/ledger.h"
#include "strategies/ports.h"
#include "strategies/telemetry.h"

namespace crossfade {

struct LedgerEntry {
  SuspectKey at;
  Doubt doubt = Doubt::Unanswered;
  Side right = Side::Old;
  std::uint64_t seq = 0;         // grows from one entry of a migration to the next; never changes
  std::int64_t first_at_ms = 0;  // since 1970
  std::int64_t last_at_ms = 0;
  std::uint64_t version = 0;  // another one after every note(), in this process never seen before
  std::uint32_t attempts = 0;
  std::uint32_t place = 0;  // which of the migration's interlays is to be looked at next
  std::string last_error;   // of the attempts; empty: none
};

// Why any key of a migration may differ.
struct LedgerReason {
  std::int64_t at_ms = 0;
  std::string text;

  bool operator==(const LedgerReason&) const = default;
};

inline constexpr std::size_t kRepairOutcomes = 5;
constexpr const char* name_of(RepairOutcome outcome) {
  switch (outcome) {
    case RepairOutcome::Equal:
      return "equal";
    case RepairOutcome::Repaired:
      return "repaired";
    case RepairOutcome::Failed:
      return "failed";
    case RepairOutcome::Newer:
      return "newer";
    case RepairOutcome::Unreachable:
      return "unreachable";
  }
  return "failed";
}

// Counts of one migration since the process began, and how many entries it has.
struct LedgerCounts {
  std::string migration;  // id
  std::uint64_t entries = 0;
  bool needs_full_verification = false;
  std::array<std::uint64_t, kDoubts> noted{};             // calls for one key each, known or not
  std::array<std::uint64_t, kRepairOutcomes> repaired{};  // as the repair worker told them
};

struct LedgerFigures {
  std::vector<LedgerCounts> migrations;
  Histogram commits;  // of the ledger file
  std::uint64_t write_failures = 0;
};

}  // namespace crossfade
