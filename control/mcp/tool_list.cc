// What clients are told of each tool: tools.json, which is part of the program.
#include "control/embedded.h"
#include "control/json/parse.h"
#include "control/mcp/tools.h"

namespace crossfade {

const Json& tool_list() {
  static const Json tools = *parse_json(kToolsJson);
  return tools;
}

}  // namespace crossfade
