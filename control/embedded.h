// Files that are part of the program; CMakeLists.txt says which.
#pragma once

#include <string_view>

namespace crossfade {

extern const std::string_view kToolsJson;    // control/mcp/tools.json
extern const std::string_view kOpenApiJson;  // control/http/openapi.json

}  // namespace crossfade
