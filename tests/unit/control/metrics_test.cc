// Metrics: every number is there under its name, and histograms add up.
#include "control/metrics.h"

#include <doctest/doctest.h>

#include <sstream>

namespace crossfade {

namespace {

// "name{labels}" -> value, of every sample.
std::map<std::string, double> samples(const std::string& text) {
  std::map<std::string, double> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == '#') continue;
    const std::size_t space = line.rfind(' ');
    const std::string value = line.substr(space + 1);
    found[line.substr(0, space)] = std::stod(value);
  }
  return found;
}

Telemetry busy() {
  Telemetry telemetry;
  telemetry.adopted_epoch = 42;
  InterlayTraffic traffic;
  traffic.id = "cache";
  traffic.requests[1][0] = 7;
  traffic.errors[0] = 2;
  traffic.failures[1] = 3;
  traffic.bytes = {10, 20, 30, 40};
  traffic.second[0].eligible = 100;
  traffic.second[0].answered = 90;
  traffic.second[0].dropped[static_cast<std::size_t>(Drop::Overflow)] = 10;
  traffic.second[1].mismatched = 4;
  traffic.mismatches.classes[1][static_cast<std::size_t>(MismatchClass::Real)] = 3;
  traffic.mismatches.dropped = 1;
  traffic.limits[static_cast<std::size_t>(Limit::PipelineMax)] = 5;
  traffic.logins_refused[static_cast<std::size_t>(LoginRefused::LookUp)] = 21;
  traffic.sql_texts[static_cast<std::size_t>(SqlText::TooLong)] = 22;
  traffic.new_only_writes = 6;
  traffic.order_waits = 11;
  traffic.suspect_reads = 12;
  traffic.suspected_writes = 13;
  traffic.sessions_open = 8;
  traffic.down[1] = true;
  traffic.leg[0].counts[0] = 1;  // below 1.024 us
  traffic.leg[0].counts[10] = 2;
  traffic.leg[0].counts[Histogram::kBuckets - 1] = 3;  // beyond all bounds
  traffic.leg[0].sum_ns = 1'500'000'000;
  telemetry.interlays.push_back(traffic);
  return telemetry;
}

}  // namespace

TEST_CASE("metrics: what the data plane counts is published under its names") {
  auto found = samples(render_metrics(busy(), {"1.2.3", "host", "", {{200, 9}, {404, 1}}}));
  CHECK(found[R"(crossfade_requests_total{interlay="cache",side="new",kind="read"})"] == 7);
  CHECK(found[R"(crossfade_errors_total{interlay="cache",side="old"})"] == 2);
  CHECK(found[R"(crossfade_failures_total{interlay="cache",side="new"})"] == 3);
  CHECK(found[R"(crossfade_bytes_total{interlay="cache",direction="client_in"})"] == 10);
  CHECK(found[R"(crossfade_bytes_total{interlay="cache",direction="client_out"})"] == 20);
  CHECK(found[R"(crossfade_bytes_total{interlay="cache",direction="server_in"})"] == 30);
  CHECK(found[R"(crossfade_bytes_total{interlay="cache",direction="server_out"})"] == 40);
  CHECK(found[R"(crossfade_shadow_eligible_total{interlay="cache"})"] == 100);
  CHECK(found[R"(crossfade_shadow_copied_total{interlay="cache"})"] == 90);
  CHECK(found[R"(crossfade_shadow_dropped_total{interlay="cache",reason="overflow"})"] == 10);
  CHECK(found[R"(crossfade_second_writes_mismatched_total{interlay="cache"})"] == 4);
  CHECK(found[R"(crossfade_mismatches_total{interlay="cache",sort="write",class="real"})"] == 3);
  CHECK(found[R"(crossfade_mismatches_total{interlay="cache",sort="copy",class="real"})"] == 0);
  CHECK(found.count(R"(crossfade_mismatches_total{interlay="cache",sort="copy",class="same"})") ==
        1);
  CHECK(found[R"(crossfade_compare_dropped_total{interlay="cache"})"] == 1);
  CHECK(found[R"(crossfade_limit_hits_total{interlay="cache",limit="pipeline_max"})"] == 5);
  CHECK(found[R"(crossfade_logins_refused_total{interlay="cache",reason="look_up"})"] == 21);
  CHECK(found[R"(crossfade_sql_texts_total{interlay="cache",result="too_long"})"] == 22);
  CHECK(found[R"(crossfade_new_only_writes_total{interlay="cache"})"] == 6);
  CHECK(found[R"(crossfade_order_waits_total{interlay="cache"})"] == 11);
  CHECK(found[R"(crossfade_suspect_reads_total{interlay="cache"})"] == 12);
  CHECK(found[R"(crossfade_suspected_writes_total{interlay="cache"})"] == 13);
  CHECK(found[R"(crossfade_sessions_open{interlay="cache"})"] == 8);
  CHECK(found[R"(crossfade_side_down{interlay="cache",side="new"})"] == 1);
  CHECK(found[R"(crossfade_side_down{interlay="cache",side="old"})"] == 0);
  CHECK(found["crossfade_table_epoch"] == 42);
  CHECK(found[R"(crossfade_build_info{version="1.2.3",instance="host",region=""})"] == 1);
  CHECK(found[R"(crossfade_control_requests_total{code="404"})"] == 1);
}

TEST_CASE("metrics: calls without a right token are published") {
  auto found = samples(render_metrics(busy(), {"1", "h", "", {}, {}, {.failed = 9, .refused = 4}}));
  CHECK(found["crossfade_control_token_failures_total"] == 9);
  CHECK(found["crossfade_control_token_refusals_total"] == 4);
}

TEST_CASE("metrics: what the ledger counts is published by migration") {
  LedgerFigures ledger;
  LedgerCounts counts{.migration = "m", .entries = 3, .needs_full_verification = true};
  counts.noted[static_cast<std::size_t>(Doubt::Unsent)] = 4;
  counts.repaired[static_cast<std::size_t>(RepairOutcome::Equal)] = 5;
  ledger.migrations.push_back(counts);
  ledger.commits.counts[10] = 6;
  ledger.write_failures = 7;
  auto found = samples(render_metrics(busy(), {"1", "h", "", {}, ledger, {}}));
  CHECK(found[R"(crossfade_ledger_entries{migration="m"})"] == 3);
  CHECK(found[R"(crossfade_ledger_needs_full_verification{migration="m"})"] == 1);
  CHECK(found[R"(crossfade_ledger_noted_total{migration="m",reason="unsent"})"] == 4);
  CHECK(found[R"(crossfade_ledger_noted_total{migration="m",reason="order"})"] == 0);
  CHECK(found[R"(crossfade_ledger_repaired_total{migration="m",outcome="equal"})"] == 5);
  CHECK(found["crossfade_ledger_commit_seconds_count"] == 6);
  CHECK(found["crossfade_ledger_write_failures_total"] == 7);
}

TEST_CASE("metrics: histograms are cumulative, in seconds, and end at infinity with their count") {
  auto found = samples(render_metrics(busy(), {}));
  const std::string leg = R"(crossfade_leg_seconds)";
  const std::string labels = R"({interlay="cache",side="old")";
  CHECK(found[leg + "_bucket" + labels + R"(,le="+Inf"})"] == 6);
  CHECK(found[leg + "_count" + labels + "}"] == 6);
  CHECK(found[leg + "_sum" + labels + "}"] == doctest::Approx(1.5));
  double previous = 0;
  int buckets = 0;
  const std::string text = render_metrics(busy(), {});
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(leg + "_bucket" + labels) != 0) continue;
    const double value = std::stod(line.substr(line.rfind(' ')));
    CHECK(value >= previous);
    previous = value;
    ++buckets;
  }
  CHECK(buckets == static_cast<int>(Histogram::kBuckets));
}

TEST_CASE("metrics: each family has one HELP and one TYPE, whatever the number of interlays") {
  Telemetry telemetry = busy();
  telemetry.interlays.push_back(telemetry.interlays.front());
  telemetry.interlays.back().id = "other";
  const std::string text = render_metrics(telemetry, {"v", "i", "r", {{200, 1}, {500, 1}}});
  std::map<std::string, int> types;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) ++types[line];
  }
  CHECK(types.size() > 20);
  for (const auto& type : types) {
    CAPTURE(type.first);
    CHECK(type.second == 1);
  }
}

TEST_CASE("metrics: whether the state is stored, and can be, is told") {
  auto found = samples(render_metrics(busy(), {}));
  CHECK(found["crossfade_state_unstored"] == 0);
  CHECK(found["crossfade_state_not_written"] == 0);
  ControlFigures figures;
  figures.state_unstored = true;
  CHECK(samples(render_metrics(busy(), figures))["crossfade_state_unstored"] == 1);
  figures.state_not_written = true;
  CHECK(samples(render_metrics(busy(), figures))["crossfade_state_not_written"] == 1);
}

}  // namespace crossfade
