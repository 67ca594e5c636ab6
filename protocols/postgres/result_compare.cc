// Comparing two digests: result by result, the first difference is the answer.
#include <algorithm>

#include "protocols/postgres/result_digest.h"

namespace crossfade::postgres {
namespace {

std::string outcome_text(const Result& result) {
  switch (result.ending) {
    case Result::Ending::Open:
      return "not executed";
    case Result::Ending::Complete:
    case Result::Ending::Called:
      return "done";
    case Result::Ending::Empty:
      return "empty";
    case Result::Ending::Suspended:
      return "suspended";
    case Result::Ending::Failed:
      return "error " + std::string(result.sqlstate_text());
  }
  return "";
}

std::string counts_text(const Result& result) {
  std::string text = std::to_string(result.rows) + " rows";
  if (result.count) text += ", count " + std::to_string(*result.count);
  return text;
}

// Commands are the server's own words: they show no values.
std::string texts_of(Difference what, const Result& result) {
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

Difference rows_differ(const Result& one, const Result& other, How how) {
  if (one.rows != other.rows || one.count != other.count) return Difference::Counts;
  if (how == How::Multiset && (one.torn || other.torn)) return Difference::None;
  if (one.sum != other.sum) return Difference::Rows;
  if (how == How::Exact && one.sequence != other.sequence) return Difference::Order;
  return Difference::None;
}

Difference differ(const Result& one, const Result& other, How how) {
  if (one.ending_for(how) != other.ending_for(how) || one.sqlstate != other.sqlstate)
    return Difference::Outcome;
  if (one.ending == Result::Ending::Failed) return Difference::None;
  if (one.ending == other.ending && one.command != other.command) return Difference::Command;
  if (one.shape != other.shape) return Difference::Columns;
  return how == How::ShapeOnly ? Difference::None : rows_differ(one, other, how);
}

std::string status_text(const std::optional<Transaction>& status) {
  return status ? std::string(1, static_cast<char>(*status)) : std::string("none");
}

}  // namespace

// What compare() needs to see of both.
struct Comparison {
  const ResultDigest& old_side;
  const ResultDigest& new_side;

  Compared results(How how) const {
    const auto& olds = old_side.results_;
    const auto& news = new_side.results_;
    for (std::uint32_t i = 0; i < std::min(olds.size(), news.size()); ++i) {
      const How agreed = weaker(how, weaker(olds[i].how, news[i].how));
      const Difference what = differ(olds[i], news[i], agreed);
      if (what != Difference::None) return {what, i, text(what, i)};
    }
    const auto count = [](const ResultDigest& one) { return one.results_.size() + one.beyond_; };
    if (count(old_side) == count(new_side)) return rest(how);
    return {Difference::Results, static_cast<std::uint32_t>(std::min(olds.size(), news.size())),
            std::to_string(count(old_side)) + " results / " + std::to_string(count(new_side))};
  }

  std::string text(Difference what, std::uint32_t i) const {
    return "result " + std::to_string(i + 1) + ": " + texts_of(what, old_side.results_[i]) + " / " +
           texts_of(what, new_side.results_[i]);
  }

  Compared rest(How how) const {
    const auto level = static_cast<std::size_t>(how);
    if (old_side.rest_[level] != new_side.rest_[level]) {
      return {Difference::Results, static_cast<std::uint32_t>(kResultsTold),
              "some result behind the first " + std::to_string(kResultsTold)};
    }
    return status();
  }

  Compared status() const {
    if (old_side.statuses_ == new_side.statuses_ && old_side.turns_ == new_side.turns_) return {};
    return {Difference::Status, 0,
            "status " + status_text(old_side.status_) + " after " +
                std::to_string(old_side.turns_) + " / " + status_text(new_side.status_) +
                " after " + std::to_string(new_side.turns_)};
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
