// Reports of writes: what a server has answered says whether a write stays, and two that were given
// the same are compared by it.
#include "protocols/postgres/write_report.h"

#include <doctest/doctest.h>

#include "protocols/postgres/backend.h"
#include "tests/unit/protocols/postgres/bytes.h"
#include "tests/unit/protocols/postgres/tell.h"

namespace crossfade::postgres {
namespace {

std::string tag(const std::string& text) { return message('C', text + '\0'); }
std::string error(const std::string& sqlstate) {
  std::string bytes;
  append_error(bytes, {"ERROR", sqlstate, "x"});
  return bytes;
}
std::string returned(const std::string& value) { return message('D', raw("\0\1\0\0\0\1") + value); }
const std::string kIdle = message('Z', "I"), kOpen = message('Z', "T"), kFailed = message('Z', "E");
const std::string kBegin = tag("BEGIN") + kOpen, kCommit = tag("COMMIT") + kIdle;

WriteReport report(const std::string& bytes) { return report_of(digest_of(bytes)); }
WriteVerdict verdict(const std::string& first, const std::string& second, How how = How::Multiset) {
  const auto compared = compare_writes(digest_of(first), digest_of(second), how);
  CHECK((compared.verdict == WriteVerdict::Equal) == compared.text.empty());
  return compared.verdict;
}

TEST_CASE("write report: what stays is what was answered and not undone") {
  CHECK(report(tag("INSERT 0 3") + kIdle).outcome == WriteOutcome::Done);
  CHECK(report(tag("INSERT 0 3") + kIdle).written == 3);
  CHECK(report(kBegin + tag("UPDATE 2") + kOpen + tag("DELETE 4") + kOpen + kCommit).written == 6);
  CHECK(report(kBegin + tag("UPDATE 2") + kOpen + kCommit).outcome == WriteOutcome::Done);
  CHECK(report(tag("COPY 5") + kIdle).written == 5);
  CHECK(report(message('H', raw("\0\0\0")) + message('d', "1\n") + tag("COPY 1") + kIdle).written ==
        0);
  CHECK(report(tag("SELECT 9") + kIdle).written == 0);
}

TEST_CASE("write report: errors and ROLLBACK undo, an error before a savepoint's does not") {
  const WriteReport failed = report(error("23505") + kIdle);
  CHECK(failed.outcome == WriteOutcome::Failed);
  CHECK(std::string(failed.sqlstate.data(), 5) == "23505");
  CHECK(report(kBegin + error("23505") + kFailed + tag("ROLLBACK") + kIdle).outcome ==
        WriteOutcome::RolledBack);
  CHECK(report(kBegin + error("23505") + kFailed + tag("ROLLBACK") + kOpen + kCommit).outcome ==
        WriteOutcome::Done);
  CHECK(report(kBegin + tag("INSERT 0 1") + kOpen + error("23503") + kIdle).outcome ==
        WriteOutcome::Failed);  // of COMMIT: a deferred constraint
}

TEST_CASE("write report: what is not over is not told") {
  CHECK(report("").outcome == WriteOutcome::Untold);
  CHECK(report(tag("INSERT 0 1")).outcome == WriteOutcome::Untold);
  CHECK(report(kBegin + tag("INSERT 0 1") + kOpen).outcome == WriteOutcome::Open);
  CHECK(report(kBegin + error("23505") + kFailed).outcome == WriteOutcome::Open);
}

TEST_CASE("write report: where COMMIT stands beyond what is told apart, it is seen") {
  std::string bytes = kBegin;
  for (std::size_t i = 0; i < 3 * kResultsTold; ++i) bytes += tag("INSERT 0 1") + kOpen;
  CHECK(report(bytes + kCommit).outcome == WriteOutcome::Done);
  CHECK(report(bytes + kCommit).written == 3 * kResultsTold);
  CHECK(report(bytes + tag("ROLLBACK") + kIdle).outcome == WriteOutcome::RolledBack);
  CHECK(verdict(bytes + kCommit, bytes + error("40001") + kIdle) == WriteVerdict::FirstOnly);
}

TEST_CASE("write report: two that tell the same are equal, RETURNING in any order") {
  const auto insert = [](const std::string& one, const std::string& other) {
    return returned(one) + returned(other) + tag("INSERT 0 2") + kIdle;
  };
  CHECK(verdict(insert("a", "b"), insert("b", "a")) == WriteVerdict::Equal);
  CHECK(verdict(insert("a", "b"), insert("a", "c")) == WriteVerdict::Differing);
  CHECK(verdict(insert("a", "b"), insert("a", "c"), How::ShapeOnly) == WriteVerdict::Equal);
}

TEST_CASE("write report: other rows written differ, however loosely they are compared") {
  CHECK(verdict(tag("UPDATE 1") + kIdle, tag("UPDATE 0") + kIdle, How::ShapeOnly) ==
        WriteVerdict::Differing);
}

TEST_CASE("write report: one that failed has not done what the other did") {
  const std::string done = tag("INSERT 0 1") + kIdle, failed = error("23505") + kIdle;
  CHECK(verdict(done, failed) == WriteVerdict::FirstOnly);
  CHECK(verdict(failed, done) == WriteVerdict::SecondOnly);
  CHECK(verdict(failed, error("40001") + kIdle) == WriteVerdict::Neither);
  CHECK(verdict(kBegin + done.substr(0, done.size() - kIdle.size()) + kOpen + kCommit,
                kBegin + failed.substr(0, failed.size() - kIdle.size()) + kFailed +
                    tag("ROLLBACK") + kIdle) == WriteVerdict::FirstOnly);
  CHECK(verdict(done, "") == WriteVerdict::Unknown);
  CHECK(verdict(kBegin, done) == WriteVerdict::Unknown);
}

}  // namespace
}  // namespace crossfade::postgres
