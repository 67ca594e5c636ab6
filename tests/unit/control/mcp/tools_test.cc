// What tools call, and what they refuse to.
#include "control/mcp/tools.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "control/json/parse.h"
#include "control/json/write.h"

namespace crossfade {

namespace {

// An API that answers everything with `answer`, and remembers what was called.
struct Recorder {
  std::string called;
  ApiOutcome answer{.status = 200, .body = *parse_json(R"({"status":"success","data":{}})")};
  std::string fails_at;  // a path that is refused

  ApiDoor door() {
    return [this](const char* method, const std::string& path, const auto&, const Json& body) {
      called +=
          std::string(method) + " " + path + (body.is_null() ? "" : " " + to_text(body)) + "\n";
      if (path != fails_at) return answer;
      return ApiOutcome{.status = 404,
                        .body = Json::object({{"error", "Not found"}, {"message", "no such"}})};
    };
  }

  std::variant<ToolResult, ToolMisuse> call(const char* tool, const char* arguments) {
    return call_tool(tool, *parse_json(arguments), door(), [](int, int, const std::string&) {});
  }
};

}  // namespace

TEST_CASE("the list of tools: each has schemas whose objects close, and says whether it changes") {
  REQUIRE(tool_list().elements() != nullptr);
  for (const Json& tool : *tool_list().elements()) {
    for (const char* member : {"name", "title", "description", "inputSchema", "outputSchema"}) {
      CHECK(tool.find(member) != nullptr);
    }
    CHECK(*tool.find("inputSchema")->find("additionalProperties") == Json(false));
    CHECK(tool.find("annotations")->find("readOnlyHint") != nullptr);
    // A tool that is listed can be called.
    Recorder api;
    const auto outcome = api.call(tool.find("name")->string()->c_str(), R"({"no such":1})");
    REQUIRE(std::holds_alternative<ToolMisuse>(outcome));
    CHECK(std::get<ToolMisuse>(outcome).why.find("there is no tool") == std::string::npos);
    CHECK(api.called.empty());
  }
}

TEST_CASE("a definition that cannot be whole: what was made of it is taken away again") {
  Recorder api;
  api.fails_at = "/migrations/m/interlay/b";
  const auto outcome = api.call(
      "define_migration",
      R"({"id":"m","interlays":[{"id":"a","endpoint":"new"},{"id":"b","endpoint":"new"}]})");
  CHECK(api.called ==
        "POST /migrations {\"id\":\"m\"}\n"
        "POST /migrations/m/interlay/a {\"endpoint\":\"new\"}\n"
        "POST /migrations/m/interlay/b {\"endpoint\":\"new\"}\n"
        "DELETE /migrations/m\n");
  CHECK(std::get<ToolResult>(outcome).failure == "no such; nothing was defined");
}

TEST_CASE("names in arguments: none leads to another path") {
  for (const char* name : {"a/b", "", "m/status"}) {
    Recorder api;
    const std::string arguments = std::string(R"({"migration_id":")") + name + "\"}";
    CHECK(std::holds_alternative<ToolMisuse>(api.call("get_migration", arguments.c_str())));
    CHECK(api.called.empty());
  }
}

TEST_CASE("a test of a migration: it starts nothing") {
  Recorder api;
  CHECK_FALSE(
      std::get<ToolResult>(api.call("run_migration", R"({"migration_id":"m","mode":"test"})"))
          .failed());
  CHECK(api.called == "POST /migrations/m/test\n");
}

}  // namespace crossfade
