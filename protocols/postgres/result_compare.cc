// Comparing two digests: result by result, the first difference is the answer.
#include <algorithm>

#include "protocols/postgres/result_digest.h"

namespace crossfade::postgres {
namespace {

std::string outcome_text(const QueryResult& result) {
  switch (result.ending) {
    case QueryResult::Ending::Open:
      return "not executed";
    case QueryResult::Ending::Complete:
    case QueryResult::Ending::Called:
      return "done";
    case QueryResult::Ending::Empty:
      return "empty";
    case QueryResult::Ending::Suspended:
      return "suspended";
    case QueryResult::Ending::Failed:
      return "error " + std::string(result.sqlstate_text());
  }
  return "";
}

std::string counts_text(const QueryResult& result) {
  std::string text = std::to_string(result.rows) + " rows";
  if (result.count) text += ", count " + std::to_string(*result.count);
  return text;
}

// Commands are the server's own words: they show no values.
std::string texts_of(Difference what, const QueryResult& result) {
  switch (what) {
    case Difference::Outcome:
      return outcome_text(result);
    case Difference::Command:
      return "command " + std::string(result.command_text());
    case Difference::Columns:
      return std::to_string(result.columns) + " columns";
    case Difference::Counts:
    case Difference::Rows:
    case Difference::Order:
      return counts_text(result);
    case Difference::None:
    case Difference::Results:
    case Difference::Status:
      break;
  }
  return "";
}

Difference rows_differ(const QueryResult& one, const QueryResult& other, How how) {
  if (one.rows != other.rows || one.count != other.count) return Difference::Counts;
  if (how == How::Multiset && (one.torn || other.torn)) return Difference::None;
  if (one.sum != other.sum) return Difference::Rows;
  if (how == How::Exact && one.sequence != other.sequence) return Difference::Order;
  return Difference::None;
}

Difference differ(const QueryResult& one, const QueryResult& other, How how) {
  if (one.ending_for(how) != other.ending_for(how) || one.sqlstate != other.sqlstate)
    return Difference::Outcome;
  if (one.ending == QueryResult::Ending::Failed) return Difference::None;
  if (one.ending == other.ending && one.command != other.command) return Difference::Command;
  if (one.shape != other.shape) return Difference::Columns;
  return how == How::ShapeOnly ? Difference::None : rows_differ(one, other, how);
}

}  // namespace

// What compare() needs to see of both.
struct Comparison {
  const ResultDigest& old_side;
  const ResultDigest& new_side;

  Compared results(How how) const {
    const auto& olds = old_side.results_;
    const auto& news = new_side.results_;
    const std::size_t both = std::min(olds.size(), news.size());
    for (std::size_t i = 0; i < both; ++i) {
      const How agreed = weaker(how, weaker(olds[i].how, news[i].how));
      const Difference what = differ(olds[i], news[i], agreed);
      if (what == Difference::None) continue;
      return {what, static_cast<std::uint32_t>(i), texts_of(what, olds[i]),
              texts_of(what, news[i])};
    }
    if (count(old_side) == count(new_side)) return rest(how);
    return {Difference::Results, static_cast<std::uint32_t>(both),
            std::to_string(count(old_side)) + " results",
            std::to_string(count(new_side)) + " results"};
  }

  static std::uint64_t count(const ResultDigest& one) { return one.results_.size() + one.beyond_; }

  Compared rest(How how) const {
    const auto level = static_cast<std::size_t>(how);
    if (old_side.rest_[level] == new_side.rest_[level]) return status();
    const std::string beyond = "another result behind " + std::to_string(kResultsTold);
    return {Difference::Results, static_cast<std::uint32_t>(kResultsTold), beyond, beyond};
  }

  Compared status() const {
    if (old_side.statuses_ == new_side.statuses_ && old_side.turns_ == new_side.turns_) return {};
    return {Difference::Status, 0, status_text(old_side), status_text(new_side)};
  }

  static std::string status_text(const ResultDigest& one) {
    const std::string status =
        one.status_ ? std::string(1, static_cast<char>(*one.status_)) : "none";
    return "status " + status + " after " + std::to_string(one.turns_) + " turns";
  }
};

Compared compare(const ResultDigest& old_side, const ResultDigest& new_side, How how) {
  return Comparison{old_side, new_side}.results(how);
}

const char* name_of(Difference difference) {
  switch (difference) {
    case Difference::None:
      return "none";
    case Difference::Outcome:
      return "outcome";
    case Difference::Command:
      return "command";
    case Difference::Columns:
      return "columns";
    case Difference::Counts:
      return "counts";
    case Difference::Rows:
      return "rows";
    case Difference::Order:
      return "order";
    case Difference::Results:
      return "results";
    case Difference::Status:
      return "status";
  }
  return "none";
}

}  // namespace crossfade::postgres
