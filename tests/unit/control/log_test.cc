// The log's two forms.
#include "control/log.h"

#include <doctest/doctest.h>

#include "bench.h"
#include "control/json/parse.h"

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

TEST_CASE("log: a line of text has time, level and message") {
  const std::string line = line_of("text", "interlay a: port closed");
  CHECK(line.find(" warning interlay a: port closed\n") != std::string::npos);
  CHECK(line.find("not shown") == std::string::npos);
}

}  // namespace crossfade
