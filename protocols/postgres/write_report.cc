// How a write has ended is read from its last result and the status behind it.
#include "protocols/postgres/write_report.h"

namespace crossfade::postgres {
namespace {

WriteOutcome outcome_of(const ResultDigest& digest) {
  if (!digest.status() || !digest.last()) return WriteOutcome::Untold;
  if (*digest.status() != Transaction::Idle) return WriteOutcome::Open;
  if (digest.last()->ending == QueryResult::Ending::Failed) return WriteOutcome::Failed;
  const bool undone = digest.last()->command_text() == "ROLLBACK";
  return undone ? WriteOutcome::RolledBack : WriteOutcome::Done;
}

std::string text_of(const WriteReport& report) {
  std::string text = name_of(report.outcome);
  if (report.sqlstate[0] != '\0') text.append(" ").append(report.sqlstate.data(), 5);
  if (report.outcome == WriteOutcome::Done) text += ", " + std::to_string(report.written) + " rows";
  return text;
}

bool untold(const WriteReport& report) {
  return report.outcome == WriteOutcome::Untold || report.outcome == WriteOutcome::Open;
}

WriteVerdict verdict_of(const WriteReport& first, const WriteReport& second) {
  if (untold(first) || untold(second)) return WriteVerdict::Unknown;
  const bool first_done = first.outcome == WriteOutcome::Done;
  const bool second_done = second.outcome == WriteOutcome::Done;
  if (first_done != second_done) {
    return first_done ? WriteVerdict::FirstOnly : WriteVerdict::SecondOnly;
  }
  if (!first_done) return WriteVerdict::Neither;
  return first.written == second.written ? WriteVerdict::Equal : WriteVerdict::Differing;
}

}  // namespace

WriteReport report_of(const ResultDigest& digest) {
  return {
      .outcome = outcome_of(digest), .sqlstate = digest.sqlstate(), .written = digest.written()};
}

WriteComparison compare_writes(const ResultDigest& first, const ResultDigest& second, How how) {
  const WriteReport one = report_of(first), other = report_of(second);
  const WriteVerdict verdict = verdict_of(one, other);
  if (verdict != WriteVerdict::Equal) return {verdict, text_of(one) + " / " + text_of(other)};
  const Compared compared = compare(first, second, how);
  return {compared.same() ? WriteVerdict::Equal : WriteVerdict::Differing, compared.text()};
}

const char* name_of(WriteOutcome outcome) {
  switch (outcome) {
    case WriteOutcome::Done:
      return "done";
    case WriteOutcome::RolledBack:
      return "rolled back";
    case WriteOutcome::Failed:
      return "failed";
    case WriteOutcome::Open:
      return "open";
    case WriteOutcome::Untold:
      return "untold";
  }
  return "untold";
}

const char* name_of(WriteVerdict verdict) {
  switch (verdict) {
    case WriteVerdict::Equal:
      return "equal";
    case WriteVerdict::Differing:
      return "differing";
    case WriteVerdict::FirstOnly:
      return "first_only";
    case WriteVerdict::SecondOnly:
      return "second_only";
    case WriteVerdict::Neither:
      return "neither";
    case WriteVerdict::Unknown:
      return "unknown";
  }
  return "unknown";
}

}  // namespace crossfade::postgres
