// The tools that MCP clients are offered: calls of the REST API under other names.
//
// A tool does nothing that its caller's token could not do by REST: each goes through the API's own
// door, with its rules of access, and is journalled by the token's name.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <variant>

#include "control/json/value.h"

namespace crossfade {

// What a call of the API was answered with.
struct ApiOutcome {
  int status = 200;
  Json body;  // {"status", "data", …} or {"error", "message"}
};

// Calls the API as the caller of the tool; the path is behind kApiBase, and decoded.
using ApiDoor =
    std::function<ApiOutcome(const char* method, const std::string& path,
                             const std::map<std::string, std::string>& query, const Json& body)>;

// Told while a tool works: `done` of `total` steps, and what comes next.
using ToolProgress = std::function<void(int done, int total, const std::string& message)>;

struct ToolResult {
  Json structured;  // an object; null when it failed
  std::string failure;
  bool failed() const { return !failure.empty(); }
};

// The call itself was wrong: no such tool, or arguments that its schema does not allow.
struct ToolMisuse {
  std::string why;
};

// [{"name", "title", "description", "inputSchema", "outputSchema", "annotations"}]
const Json& tool_list();

std::variant<ToolResult, ToolMisuse> call_tool(const std::string& name, const Json& arguments,
                                               const ApiDoor& api, const ToolProgress& progress);

}  // namespace crossfade
