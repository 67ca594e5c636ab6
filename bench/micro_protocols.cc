// What one request costs before it is sent: cutting, facts, plan; and one reply: finding its end.
//
// Prints nanoseconds per operation, best and median of several rounds. One thread, no I/O.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "protocols/redis/facts.h"
#include "protocols/redis/reply.h"
#include "strategies/migration.h"

namespace crossfade {
namespace {

constexpr int kRounds = 15;
constexpr int kOperations = 400'000;

// Makes the compiler believe that `value` is used.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

template <class Operation>
void measure(const char* name, int per_call, Operation&& operation) {
  std::array<double, kRounds> rounds;
  for (double& round : rounds) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kOperations; ++i) operation();
    const auto spent = std::chrono::steady_clock::now() - begin;
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count();
    round = static_cast<double>(ns) / kOperations / per_call;
  }
  std::sort(rounds.begin(), rounds.end());
  std::printf("%-34s %7.1f ns best %7.1f ns median\n", name, rounds[0], rounds[kRounds / 2]);
}

void check(bool holds) {
  if (!holds) std::abort();
}

void measure_request(const char* name, const std::string& bytes) {
  const redis::CommandTable& commands = *redis::CommandTable::built_in();
  redis::RequestCutter cutter;
  measure((std::string("cut     ") + name).c_str(), 1, [&] {
    const redis::Cut cut = cutter.advance(bytes);
    check(std::holds_alternative<redis::Request>(cut));
    keep(cutter);
    cutter.reset();
  });
  check(std::holds_alternative<redis::Request>(cutter.advance(bytes)));
  measure((std::string("facts   ") + name).c_str(), 1, [&] {
    const auto facts = redis::facts_of(commands, cutter, bytes, true);
    check(facts && facts->spec != nullptr);
    keep(facts);
  });
  cutter.reset();
  const Strategy canary = Canary{.read_share = 250'000, .write_mode = WriteMode{}};
  measure((std::string("cut + facts + plan ") + name).c_str(), 1, [&] {
    check(std::holds_alternative<redis::Request>(cutter.advance(bytes)));
    const auto facts = redis::facts_of(commands, cutter, bytes, true);
    const Plan chosen = plan(canary, {.kind = facts->kind,
                                      .keyed = facts->key_count > 0,
                                      .bucket_low = facts->bucket_low,
                                      .bucket_high = facts->bucket_high,
                                      .sided = facts->sided,
                                      .pinned = std::nullopt});
    keep(chosen);
    cutter.reset();
  });
}

void measure_reply(const char* name, const std::string& bytes) {
  redis::ReplyScanner scanner;
  measure((std::string("scan    ") + name).c_str(), 1, [&] {
    const auto step = scanner.advance(bytes);
    check(step.state == redis::ReplyScanner::State::Complete);
    keep(step);
  });
}

std::string resp(std::initializer_list<std::string> args) {
  std::string bytes = "*";
  bytes.append(std::to_string(args.size())).append("\r\n");
  for (const std::string& arg : args) {
    bytes.append("$").append(std::to_string(arg.size())).append("\r\n").append(arg).append("\r\n");
  }
  return bytes;
}

void measure_all() {
  measure_request("GET", resp({"GET", "key:000000000001"}));
  measure_request("SET", resp({"SET", "key:000000000001", "xxx"}));
  measure_request("SET EX",
                  resp({"SET", "key:{user1}:000000000001", "xxxxxxxxxxxxxxxx", "EX", "60"}));
  measure_request("PING", resp({"PING"}));
  measure_request("PING inline", "PING\r\n");
  measure_request("MGET of 10", resp({"MGET", "k:1", "k:2", "k:3", "k:4", "k:5", "k:6", "k:7",
                                      "k:8", "k:9", "k:10"}));
  measure_request("EVALSHA", resp({"EVALSHA", std::string(40, 'a'), "1", "key:000000000001", "7"}));
  measure_request("CLIENT SETNAME", resp({"CLIENT", "SETNAME", "worker"}));
  measure_reply("+OK", "+OK\r\n");
  measure_reply("$3", "$3\r\nxxx\r\n");
  measure_reply(":1", ":1000\r\n");
  measure_reply("$-1", "$-1\r\n");
  measure_reply("$65536", "$65536\r\n" + std::string(65536, 'x') + "\r\n");
  std::string range = "*100\r\n";
  for (int i = 0; i < 100; ++i) range += "$3\r\nxxx\r\n";
  measure_reply("*100 of $3", range);
}

}  // namespace
}  // namespace crossfade

int main() { crossfade::measure_all(); }
