// Killed at any instant, the process comes back routing as its last answered call said.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "../bench.h"

namespace crossfade {

namespace {

// The share in force, as the table has it.
std::uint32_t share_in_force(const RecordedPlane& plane) {
  const auto& strategy = plane.route("cache").strategy;
  return strategy ? std::get<Canary>(*strategy).read_share : 0;
}

// In the child: changes the share for ever, and reports each one after its call was answered.
[[noreturn]] void change_for_ever(const std::string& path, std::uint32_t share, int reports) {
  RecordedPlane plane;
  ToldServers told;
  Life life(path, plane, told, system_clock());
  const Call call{.actor = "child", .if_match = {}};
  for (;; ++share) {
    const std::string body = R"({"strategy":{"read_percentage":)" +
                             to_text(Json(static_cast<double>(share) / kWhole)) + "}}";
    const Answer answer = life.migrations.patch("m", json(body), call);
    if (!std::holds_alternative<Reply>(answer) || share_in_force(plane) != share) _exit(1);
    if (write(reports, &share, sizeof share) != sizeof share) _exit(1);
  }
}

}  // namespace

TEST_CASE(
    "crash: after kill -9 the table at boot is that of the last answered call, or of the one under "
    "way") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"canary","read_percentage":0})");
  const std::string path = bench.path();
  std::uint32_t share = 0;
  for (int round = 0; round < 6; ++round) {
    bench.life.reset();
    std::array<int, 2> channel{};
    REQUIRE(pipe2(channel.data(), O_CLOEXEC) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) change_for_ever(path, share + 1, channel[1]);
    close(channel[1]);
    for (int i = 0; i < 2 + 7 * round; ++i) {
      REQUIRE(read(channel[0], &share, sizeof share) == sizeof share);
    }
    kill(child, SIGKILL);
    while (read(channel[0], &share, sizeof share) == sizeof share) {
    }
    waitpid(child, nullptr, 0);
    close(channel[0]);
    bench.restart();
    REQUIRE(bench.life->booted.ok());
    CHECK(share_in_force(bench.plane) >= share);
    CHECK(share_in_force(bench.plane) <= share + 1);
    // What is shown is what is in force.
    const Answer got = bench.life->migrations.get("m", bench.call);
    CHECK(to_text(*must(got).data.find("strategy")->find("read_percentage")) ==
          to_text(Json(static_cast<double>(share_in_force(bench.plane)) / kWhole)));
    share = share_in_force(bench.plane);
  }
}

}  // namespace crossfade
