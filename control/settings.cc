// The table of settings.
#include "control/settings.h"

#include <array>

namespace crossfade {

namespace {

constexpr std::array kSettings = {
    Setting{"config", "--config", "CROSSFADE_CONFIG", "", "", "configuration file (JSON)"},
    Setting{"secrets", "--secrets", "CROSSFADE_SECRETS", "", "",
            "further file (JSON) with tokens and endpoints only, for those that have credentials"},
    Setting{"control", "--control", "CROSSFADE_CONTROL", "control.host, control.port",
            "127.0.0.1:8000", "HOST:PORT of the control API; port 0 picks a free one"},
    Setting{"state", "--state", "CROSSFADE_STATE", "state", "./crossfade.db",
            "file that keeps definitions and status"},
    Setting{"loops", "--loops", "CROSSFADE_LOOPS", "loops", "1", "event loops, 1 to 256"},
    Setting{"instance", "--instance", "CROSSFADE_INSTANCE", "instance", "the host name",
            "name of this sidecar"},
    Setting{"region", "--region", "CROSSFADE_REGION", "region", "", "region of this sidecar"},
    Setting{"log_level", "--log-level", "CROSSFADE_LOG_LEVEL", "log.level", "info",
            "trace, debug, info, warn or error"},
    Setting{"log_format", "--log-format", "CROSSFADE_LOG_FORMAT", "log.format", "text",
            "text or json: a line for people, or an object in each line"},
    Setting{"admin_token", "", "CROSSFADE_ADMIN_TOKEN", "tokens", "",
            "Bearer token with role admin; the file takes digests of any number of tokens"},
    Setting{"read_token", "", "CROSSFADE_READ_TOKEN", "tokens", "",
            "Bearer token with role read; the file takes digests of any number of tokens"},
};

}  // namespace

std::span<const Setting> settings() { return kSettings; }

std::string help_of(const Setting& setting) {
  std::string text = setting.help;
  text += " [";
  text += setting.environment;
  if (*setting.key != '\0') text += std::string("; in the file: ") + setting.key;
  if (*setting.default_value != '\0') text += std::string("; default: ") + setting.default_value;
  return text + "]";
}

}  // namespace crossfade
