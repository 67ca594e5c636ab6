// What it costs to know whether rows are the same: telling them to a digest as they pass by.
//
// Prints nanoseconds of CPU time per row, best and median of several rounds. One thread, no I/O.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "protocols/postgres/builder.h"
#include "protocols/postgres/result_digest.h"

namespace crossfade::postgres {
namespace {

constexpr int kRounds = 15;
constexpr std::size_t kEvent = 64 << 10;       // bytes that a loop reads at once
constexpr std::size_t kRoundBytes = 64 << 20;  // told in each round

// Messages of one event, all of that type and size.
std::string event_of(char type, std::size_t body) {
  std::string bytes;
  while (bytes.size() + kHeaderSize + body <= kEvent) {
    MessageBuilder(bytes, type).bytes(std::string(body, static_cast<char>(bytes.size() % 64)));
  }
  return bytes;
}

template <class Tell>
void measure(const char* name, std::size_t rows, Tell&& tell) {
  std::array<double, kRounds> rounds;
  const std::size_t events = kRoundBytes / kEvent;
  for (double& round : rounds) {
    ResultDigest digest;
    const std::clock_t begin = std::clock();
    for (std::size_t i = 0; i < events; ++i) tell(digest);
    const double spent_ns = static_cast<double>(std::clock() - begin) * 1e9 / CLOCKS_PER_SEC;
    round = spent_ns / static_cast<double>(events * rows);
    if (digest.rows() != events * rows) std::abort();
  }
  std::sort(rounds.begin(), rounds.end());
  std::printf("%-38s %8.1f ns best %8.1f ns median\n", name, rounds[0], rounds[kRounds / 2]);
}

void measure_runs(const char* name, How how, std::size_t body) {
  const std::string event = event_of('D', body);
  measure(name, run_of('D', event).messages, [&](ResultDigest& digest) {
    digest.expect(how);
    digest.on_rows('D', event);
  });
}

// A row that is as long as everything read in one event, in two pieces.
void measure_pieces() {
  const std::string row = event_of('D', kEvent - kHeaderSize);
  const std::size_t half = row.size() / 2;
  const std::string_view bytes(row);
  measure("64 KiB in two pieces", 1, [&](ResultDigest& digest) {
    digest.on_piece({.type = 'D', .size = row.size(), .offset = 0, .bytes = bytes.substr(0, half)});
    digest.on_piece({.type = 'D', .size = row.size(), .offset = half, .bytes = bytes.substr(half)});
  });
}

void measure_all() {
  measure_runs("row of 20 bytes, any order", How::Multiset, 20);
  measure_runs("row of 100 bytes, any order", How::Multiset, 100);
  measure_runs("row of 100 bytes, in order", How::Exact, 100);
  measure_runs("row of 1 KiB, any order", How::Multiset, 1024);
  measure_runs("row of 1 KiB, in order", How::Exact, 1024);
  measure_runs("row of 16 KiB, in order", How::Exact, 16 << 10);
  measure_pieces();
}

}  // namespace
}  // namespace crossfade::postgres

int main() { crossfade::postgres::measure_all(); }
