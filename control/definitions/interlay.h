// Interlays: data ports of the sidecar, each in front of an endpoint.
#pragma once

#include <cstdint>
#include <string>

#include "control/definitions/identity.h"
#include "control/definitions/interlay_settings.h"
#include "control/definitions/regions.h"
#include "control/definitions/sql_names.h"
#include "control/definitions/user.h"
#include "control/json/value.h"
#include "protocols/base/result.h"
#include "strategies/login.h"
#include "tls/settings.h"

namespace crossfade {

// What a caller or the configuration file declares.
struct InterlaySpec {
  std::string id;
  std::string endpoint;            // id or uuid, as it was given
  std::uint16_t port = 0;          // 0: any free one
  std::string bind = "127.0.0.1";  // numeric address
  PortTls tls = {};
  InterlayLogin login = {};
  SettingOverrides settings = {};
  Regions regions = {};                 // "settings.regions"
  std::optional<UserSource> user = {};  // "settings.user"
  SqlNames sql = {};                    // PostgreSQL
  std::string description = {};

  bool operator==(const InterlaySpec&) const = default;
};

// Random; never shown. What unknown users are told is made of it, and must stay the same.
std::string make_mock_secret();

// What exists. The running counterpart, with sockets, is an Interlay in proxy/.
struct InterlayDefinition {
  Identity identity;
  std::string endpoint;    // uuid
  std::uint16_t port = 0;  // what is bound, or was when it last ran
  std::string bind;
  PortTls tls = {};
  InterlayLogin login = {};
  std::string mock_secret = make_mock_secret();
  SettingOverrides settings;
  Regions regions = {};
  std::optional<UserSource> user = {};
  SqlNames sql;  // PostgreSQL
  std::string description;
  bool running = true;  // wanted by the operator: false after "stop"
};

// Reads {"id", "endpoint", "port", "bind"?, "tls"?, "auth"?, "settings"?, "sql"?, "description"?}
// as POST
// takes it.
//   errors  BadInput with the path; what this version does not support says so
Result<InterlaySpec> read_interlay(const Json& body, const std::string& path);

// Applies a PATCH body on top of `spec`; settings one by one.
Result<InterlaySpec> patch_interlay(const InterlaySpec& spec, const Json& body);

// The spec of what exists; its endpoint is a uuid.
InterlaySpec spec_of(const InterlayDefinition& interlay);

// For the store. As GET shows it is the service's to say, as that needs more than the interlay.
Json to_stored(const InterlayDefinition& interlay);
Result<InterlayDefinition> interlay_from_stored(const Json& stored);

}  // namespace crossfade
