// Samples of results of PostgreSQL: the rows that one side has and the other has not, in what they
// differ, and no value unless values may be shown.
#include "movement/sql_samples.h"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "movement/compare_worker.h"
#include "protocols/postgres/builder.h"

namespace crossfade {
namespace {

using postgres::Difference;

constexpr Showing kPlain{.redacted = false, .seed = 42};
constexpr Showing kRedacted{.redacted = true, .seed = 42};

std::string row(const std::vector<std::string>& values) {
  std::string bytes;
  postgres::MessageBuilder message(bytes, 'D');
  message.u16(static_cast<std::uint16_t>(values.size()));
  for (const std::string& value : values) {
    if (value == "NULL") {
      message.u32(UINT32_MAX);
    } else {
      message.u32(static_cast<std::uint32_t>(value.size())).bytes(value);
    }
  }
  return bytes;
}

std::string rows(const std::vector<std::string>& values) {
  std::string bytes;
  for (const std::string& value : values) bytes += row({value});
  return bytes;
}

Mismatch mismatch_of(Difference what, std::string old_reply, std::string new_reply) {
  auto route = std::make_shared<InterlayRoute>();
  route->id = "app";
  route->migration = "m1";
  Mismatch mismatch;
  mismatch.route = std::move(route);
  mismatch.command = "SELECT a FROM t WHERE b = 'secret'";
  mismatch.keys = {"t"};
  mismatch.old_reply = std::move(old_reply);
  mismatch.new_reply = std::move(new_reply);
  mismatch.sql.emplace();
  mismatch.sql->compared = {.what = what, .result = 1, .old_text = "here", .new_text = "there"};
  return mismatch;
}

ShownReplies shown(Difference what, const std::string& old_reply, const std::string& new_reply) {
  return show_replies(mismatch_of(what, old_reply, new_reply), kPlain);
}

TEST_CASE("sql samples: the first row of each side is shown that the other has not as often") {
  const auto differ = shown(Difference::Rows, rows({"a", "b", "c"}), rows({"c", "a", "d"}));
  CHECK(differ.old_side == "rows of result 2: here; row (b)");
  CHECK(differ.new_side == "rows of result 2: there; row (d)");
  const auto twice = shown(Difference::Counts, rows({"a", "a"}), rows({"a"}));
  CHECK(twice.old_side == "counts of result 2: here; row (a)");
  CHECK(twice.new_side == "counts of result 2: there");
}

TEST_CASE("sql samples: of rows in another order the first are shown that are elsewhere") {
  const auto differ = shown(Difference::Order, rows({"a", "b", "c"}), rows({"a", "c", "b"}));
  CHECK(differ.old_side == "order of result 2: here; row (b)");
  CHECK(differ.new_side == "order of result 2: there; row (c)");
}

TEST_CASE("sql samples: what is not about rows, or not all of them, shows none") {
  const auto outcome = shown(Difference::Outcome, rows({"a"}), "");
  CHECK(outcome.old_side == "outcome of result 2: here");
  Mismatch cut = mismatch_of(Difference::Rows, rows({"a"}), rows({"b"}));
  cut.truncated = true;
  CHECK(show_replies(cut, kPlain).old_side == "rows of result 2: here");
  CHECK(shown(Difference::Rows, "", "").old_side == "rows of result 2: here");
}

TEST_CASE("sql samples: values are hidden, nulls and numbers of columns are not") {
  const std::string old_row = row({"secret", "NULL", ""}), new_row = row({"secret", "NULL", "x"});
  const Mismatch mismatch = mismatch_of(Difference::Rows, old_row, new_row);
  const std::string hidden = show_replies(mismatch, kRedacted).old_side;
  CHECK(hidden.find("secret") == std::string::npos);
  CHECK(hidden.find("(<6 bytes, ") != std::string::npos);
  CHECK(hidden.find(", NULL, <0 bytes, ") != std::string::npos);
  CHECK(show_replies(mismatch, kPlain).new_side ==
        "rows of result 2: there; row (secret, NULL, x)");
}

TEST_CASE("sql samples: they are printable and bounded, whatever the rows hold") {
  const std::string wild(1000, '\x01');
  for (const std::string& bytes : {row({wild, wild, wild}), std::string("D\0\0\0\6\0\5", 7),
                                   std::string("D\0\0\0\4", 5), wild}) {
    for (const Showing& showing : {kPlain, kRedacted}) {
      const std::string text =
          show_replies(mismatch_of(Difference::Rows, bytes, row({"a"})), showing).old_side;
      CHECK(text.size() <= kSampleTextMax);
      CHECK(text.find('\x01') == std::string::npos);
    }
  }
  const std::string sql = "SELECT " + std::string(2 * kSampleSqlMax, 'x');
  CHECK(show_statement(sql, kPlain).size() <= kSampleSqlMax + 3);
  CHECK(show_statement(sql, kRedacted).size() <= kSampleSqlMax);
}

TEST_CASE("sql samples: a statement is shown as a sample's command, tables as its keys") {
  const Mismatch mismatch = mismatch_of(Difference::Rows, rows({"a"}), rows({"b"}));
  const MismatchSample sample = sample_of(mismatch, MismatchClass::Real, 7, true, 42);
  CHECK(sample.command == "SELECT a FROM t WHERE b = ?");
  CHECK(sample.keys == std::vector<std::string>{"t"});
  CHECK(sample_of(mismatch, MismatchClass::Real, 7, false, 42).command == mismatch.command);
}

TEST_CASE("comparison: what cannot be asked again is unsure, and only another order is tolerable") {
  CompareSettings settings;
  settings.compare_pause_ms = 1;
  CompareWorker worker(settings);
  worker.start();
  worker.offer(mismatch_of(Difference::Order, rows({"a", "b"}), rows({"b", "a"})));
  worker.offer(mismatch_of(Difference::Rows, "", ""));
  CHECK(worker.wait_settled(std::chrono::seconds(60)));
  const auto samples = worker.samples("m1");
  REQUIRE(samples.size() == 2);
  CHECK(samples[1].what == MismatchClass::Tolerable);
  CHECK(samples[0].what == MismatchClass::Unsure);
  const auto classes = worker.counts("app").classes[0];
  CHECK(classes[static_cast<std::size_t>(MismatchClass::Tolerable)] == 1);
  CHECK(classes[static_cast<std::size_t>(MismatchClass::Unsure)] == 1);
}

}  // namespace
}  // namespace crossfade
