// The routes of the API, in one table: method, path, who may call, what it does.
//
// A route without a rule of access does not compile.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/answer.h"
#include "control/http/tokens.h"
#include "control/service/apis.h"
#include "control/service/call.h"
#include "control/service/conductor.h"
#include "control/service/divergence.h"
#include "control/service/endpoints.h"
#include "control/service/interlays.h"
#include "control/service/migrations.h"
#include "control/service/templates.h"
#include "control/service/verifications.h"

namespace crossfade {

struct Services {
  Endpoints& endpoints;
  Interlays& interlays;
  Templates& templates;
  Apis& apis;
  Migrations& migrations;
  Conductor& conductor;
  Divergence& divergence;
  Verifications& verifications;
};

enum class Body : std::uint8_t {
  None,    // not read
  Object,  // required
  Command  // may be empty, or an object without members
};

struct Route {
  const char* method;
  const char* path;  // below /api/v1; "{}" stands for one segment
  Role role;         // who may call
  bool changes;      // refused while the process drains
  Body body;
  Answer (*run)(Services& services, const std::vector<std::string>& segments, const Json& body,
                const Call& call);  // segments: what stood for each "{}"
};

inline constexpr std::string_view kApiBase = "/api/v1";

std::span<const Route> routes();

struct RouteMatch {
  const Route* route = nullptr;  // null: no route of that method and path
  std::vector<std::string> segments;
  std::string allowed;  // methods that the path has: "GET, POST"; empty: no such path
};
// Finds the route of a path that begins with kApiBase, as the client sent it: its segments are
// percent-decoded one by one, so that a slash within one stays in it. A slash at the end does not
// matter.
RouteMatch match_route(std::string_view method, std::string_view path);

}  // namespace crossfade
