// The log's two forms.
#include "control/log.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

#include "bench.h"
#include "control/json/parse.h"
#include "control/log_lines.h"

namespace crossfade {

namespace {

// What one message looks like in that form.
std::string line_of(const std::string& format, const std::string& message) {
  const CapturedLog log;
  set_log("info", format);
  spdlog::warn("{}", message);
  spdlog::debug("not shown");
  std::string line = log.text();
  set_log("info", "text");
  return line;
}

}  // namespace

TEST_CASE("log: a line of JSON is one object, whatever the message quotes") {
  const std::string message = "interlay \"a\":\n\tport \\ \x01 \xff closed";
  const std::string line = line_of("json", message);
  REQUIRE_FALSE(line.empty());
  CHECK(line.find('\n') == line.size() - 1);
  const auto json = parse_json(line);
  REQUIRE(json.ok());
  REQUIRE(json->members()->size() == 3);
  const std::string time = *json->find("time")->string();
  CHECK(time.size() == std::string_view("2026-11-26T12:00:00.000Z").size());
  CHECK(time.back() == 'Z');
  CHECK(*json->find("level")->string() == "warning");
  CHECK(*json->find("message")->string() == "interlay \"a\":\n\tport \\ \x01 \xEF\xBF\xBD closed");
}

TEST_CASE("log: whoever adds a line never waits for whoever reads, and whole lines are lost") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::string read_all;
  {
    LogLines lines(ends[1], 100'000);
    const std::string line(99, 'x');
    int added = 0;
    while (lines.add(line + "\n")) ++added;
    CHECK(added >= 1'000);
    CHECK(added < 10'000);  // the kernel takes some
    std::thread reader([&] {
      std::array<char, 4096> part;
      for (ssize_t size = 0; (size = read(ends[0], part.data(), part.size())) > 0;) {
        read_all.append(part.data(), static_cast<std::size_t>(size));
      }
    });
    lines.flush(std::chrono::seconds(20));
    CHECK(lines.add("the last\n"));
    lines.flush(std::chrono::seconds(20));
    close(ends[1]);
    reader.join();
    CHECK(read_all.size() == static_cast<std::size_t>(added) * 100 + 9);
    CHECK(read_all.ends_with("x\nthe last\n"));
  }
  close(ends[0]);
}

TEST_CASE("log: a line of text has time, level and message") {
  const std::string line = line_of("text", "interlay a: port closed");
  CHECK(line.find(" warning interlay a: port closed\n") != std::string::npos);
  CHECK(line.find("not shown") == std::string::npos);
}

}  // namespace crossfade
