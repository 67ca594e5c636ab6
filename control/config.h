// The configuration of the process: what flags, environment and file say together.
//
// Precedence: flag > environment > file > default. A configuration that is wrong anywhere is
// refused as a whole, with an error that names the JSON path ("interlays[0].settings.pipeline_max")
// or the flag. Reads files and environment variables; changes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/definitions/api.h"
#include "control/definitions/endpoint.h"
#include "control/definitions/interlay.h"
#include "control/definitions/template.h"
#include "control/http/tokens.h"
#include "control/settings.h"
#include "protocols/base/result.h"
#include "strategies/mismatch.h"

namespace crossfade {

// Values given as flags, by Setting::name ("state" -> "/var/lib/crossfade.db"). Absent: not given.
using FlagValues = std::map<std::string, std::string>;

// Reads one environment variable; nullopt when it is not set. Tests hand in a lambda.
using Environment = std::function<std::optional<std::string>(const char* name)>;
Environment process_environment();

inline constexpr std::uint32_t kLoopsMax = 256;

// Limits of the control port. All have safe defaults.
struct ControlLimits {
  std::uint32_t body_max = 1u << 20;          // bytes of one request body
  std::uint32_t request_timeout_ms = 10'000;  // for a whole request to arrive, and a reply to leave
  std::uint32_t connections_max = 64;         // served at once; the longest silent one makes room
  std::uint32_t token_failures_max = 20;      // calls at once without a right token, by address
  std::uint32_t token_failures_per_minute = 10;   // of them: come back
  std::uint32_t failing_peers_max = 4096;         // addresses that are remembered
  std::uint32_t refusals_logged_per_minute = 60;  // lines
  bool probes_token = false;                      // /healthz and /readyz need a token
  bool metrics_token = false;                     // /metrics needs a token

  bool operator==(const ControlLimits&) const = default;
};

// What the file declares; such resources are read-only through the API.
struct DeclaredResources {
  std::vector<EndpointSpec> endpoints;
  std::vector<InterlaySpec> interlays;  // their endpoints are among `endpoints`
  std::vector<TemplateSpec> templates;  // likewise
  std::vector<ApiSpec> apis;            // their templates are among `templates`
};

struct ProcessConfig {
  std::string config_path;                 // empty: no file
  std::string secrets_path;                // of tokens and endpoints; empty: no file
  std::string control_host = "127.0.0.1";  // numeric address or name
  std::uint16_t control_port = 8000;       // 0: any free one
  PortTls control_tls;
  std::string state_path = "./crossfade.db";
  std::uint32_t loops = 1;               // event loops, 1..256
  std::string instance;                  // name of this sidecar; default: the host name
  std::string region;                    // empty: none
  std::string log_level = "info";        // trace | debug | info | warn | error
  std::string log_format = "text";       // text | json
  std::uint32_t drain_ms = 10'000;       // how long running requests may finish when a port closes
  std::uint32_t ledger_max = 1'000'000;  // entries of one migration; beyond it: full verification
  std::uint32_t evictions_ms = 1'000;    // between two looks at what servers have evicted
  std::uint32_t catalog_ms = 5'000;      // between two questions for a PostgreSQL catalog
  ControlLimits limits;
  CompareSettings compare;             // "comparison" of the file
  InterlaySettings interlay_defaults;  // "limits" of the file, below each interlay's own settings
  std::vector<Token> tokens;
  DeclaredResources declared;

  std::string version;  // of the program; set by main, shown in metrics
  FlagValues flags;     // as given, so that a re-read keeps their precedence
};

// Merges all sources and checks everything that can be checked without a network or a store.
//   errors  BadConfig: names the JSON path, variable, flag, or the file that can not be read
Result<ProcessConfig> load_process_config(const FlagValues& flags, const Environment& environment);

}  // namespace crossfade
