// What `watch` shows of statuses.
#include "client/watch_view.h"

#include <doctest/doctest.h>

#include <string>

#include "control/json/parse.h"

namespace crossfade {

namespace {

// A status as the sidecar tells it, with some requests of its one interlay.
Json status_with(int old_reads, int new_reads, const std::string& more = "") {
  return *parse_json(R"({"id":"m","status":"running","epoch":7,"verification":null,
    "strategy":{"type":"canary","read_percentage":0.25},"interlays":[{"id":"cache","uuid":"u",
    "requests":{"old":{"read":)" +
                     std::to_string(old_reads) + R"(,"write":0},"new":{"read":)" +
                     std::to_string(new_reads) + R"(,"write":0}})" + more + "}]}");
}

}  // namespace

TEST_CASE("looks at a status: the first one tells counts, all others rates") {
  WatchView view;
  CHECK(view.lines_of(status_with(10, 5), 100.0) ==
        "m: running, canary, epoch 7, 25.0 % of reads to new\n"
        "  cache: old 10, new 5 requests so far\n");
  CHECK(view.lines_of(status_with(310, 105), 102.0) ==
        "m: running, canary, epoch 7, 25.0 % of reads to new\n"
        "  cache: old 150/s, new 50/s (25.0 % new)\n");
  CHECK(view.lines_of(status_with(310, 105), 103.0) ==
        "m: running, canary, epoch 7, 25.0 % of reads to new\n"
        "  cache: old 0/s, new 0/s (0.0 % new)\n");
}

TEST_CASE("looks at a status: a share of users is told as one") {
  WatchView view;
  auto flagged = parse_json(R"({"id":"m","status":"running","epoch":7,"verification":null,
    "strategy":{"type":"feature_flag","flags":{"a":true},"rollout_percentage":0.5},
    "interlays":[]})");
  CHECK(view.lines_of(*flagged, 100.0) ==
        "m: running, feature_flag, epoch 7, 50.0 % of users to new\n");
}

TEST_CASE("a line of an interlay: copies, sessions that stay and sides that are down are told") {
  WatchView view;
  const std::string lines = view.lines_of(
      status_with(0, 0,
                  R"(,"copies":{"eligible":9,"answered":7,"dropped":2,"errors":0,"mismatched":1},
        "new_only_writes":3,"sessions_staying":{"listen":2},"down":{"old":false,"new":true})"),
      1.0);
  CHECK(lines.find("; copies 7 of 9, 2 dropped, 1 mismatched; 3 writes on new only; "
                   "2 sessions stay; NEW IS DOWN\n") != std::string::npos);
}

TEST_CASE("a status that lacks members: it is shown as far as it goes") {
  WatchView view;
  CHECK(view.lines_of(*parse_json("{}"), 0) == "-: -, -, epoch -\n");
  CHECK(view.lines_of(*parse_json(R"({"interlays":[{}]})"), 1) ==
        "-: -, -, epoch -\n  -: old 0/s, new 0/s (0.0 % new)\n");
}

TEST_CASE("the ending of a migration: good, bad, or none yet, by its status") {
  CHECK(ending_of("completed") == Ending::Good);
  CHECK(ending_of("failed") == Ending::Bad);
  CHECK(ending_of("rolled_back") == Ending::Bad);
  for (const char* status : {"pending", "ready", "running", "paused", "rolling_back", ""}) {
    CHECK_FALSE(ending_of(status));
  }
}

}  // namespace crossfade
