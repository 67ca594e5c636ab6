// Merging flags, environment and file.
#include "control/config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "control/config_file.h"
#include "control/json/fields.h"
#include "control/log.h"

namespace crossfade {

namespace {

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "crossfade";
  return name.data();
}

bool read_number(std::string_view text, std::uint32_t min, std::uint32_t max, std::uint32_t& into) {
  std::uint32_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) return false;
  if (value < min || value > max) return false;
  into = value;
  return true;
}

// "127.0.0.1:8000", "[::1]:8000", "localhost:0".
bool read_host_port(std::string_view text, ProcessConfig& config) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return false;
  std::uint32_t port = 0;
  if (!read_number(text.substr(colon + 1), 0, 65535, port)) return false;
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]") != host.npos) {
    return false;  // an IPv6 address without brackets: where its port begins is a guess
  }
  if (host.empty()) return false;
  config.control_host = host;
  config.control_port = static_cast<std::uint16_t>(port);
  return true;
}

// Sets one setting by name; returns what is wrong with the value, or nullptr.
const char* assign(std::string_view name, const std::string& value, ProcessConfig& config) {
  if (name == "control") {
    return read_host_port(value, config) ? nullptr : "must be HOST:PORT, IPv6 hosts in brackets";
  }
  if (name == "loops") {
    return read_number(value, 1, kLoopsMax, config.loops) ? nullptr
                                                          : "must be a whole number from 1 to 256";
  }
  if (name == "log_level") {
    config.log_level = value;
    return is_log_level(value) ? nullptr : "must be trace, debug, info, warn or error";
  }
  if (name == "log_format") {
    config.log_format = value;
    return is_log_format(value) ? nullptr : "must be text or json";
  }
  if (name == "admin_token" || name == "read_token") {
    const Role role = name == "admin_token" ? Role::Admin : Role::Read;
    const Sha256 digest = sha256_of(value);
    // Of two with one text one would be nobody's.
    const auto same = [&](const Token& token) { return token.digest == digest; };
    if (std::ranges::any_of(config.tokens, same)) return "is another token's text, too";
    config.tokens.push_back({std::string("environment-") + name_of(role), role, digest});
    return nullptr;
  }
  if (value.empty()) return "must not be empty";
  if (name == "config") config.config_path = value;
  if (name == "secrets") config.secrets_path = value;
  if (name == "state") config.state_path = value;
  if (name == "instance") config.instance = value;
  if (name == "region") config.region = value;
  return nullptr;
}

struct Given {
  std::string source;  // the flag or the variable, for messages
  std::string value;
};

// The flag, else the variable. An empty variable counts as not set: that is how it is unset in a
// unit file or a manifest.
std::optional<Given> given(const Setting& setting, const FlagValues& flags,
                           const Environment& environment) {
  if (const auto flag = flags.find(setting.name); flag != flags.end()) {
    return Given{setting.flag, flag->second};
  }
  auto variable = environment(setting.environment);
  if (!variable || variable->empty()) return std::nullopt;
  return Given{setting.environment, std::move(*variable)};
}

Status assign_given(const Setting& setting, const FlagValues& flags, const Environment& environment,
                    ProcessConfig& config) {
  const auto value = given(setting, flags, environment);
  if (!value) return success();
  if (const char* complaint = assign(setting.name, value->value, config)) {
    return Error{Errc::BadConfig, value->source, complaint};
  }
  return success();
}

}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

namespace {

bool is_any_host(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

// By the time flags have their say, too: the file alone does not know the control port.
Status check_ports(const ProcessConfig& config) {
  for (std::size_t i = 0; i < config.declared.interlays.size(); ++i) {
    const InterlaySpec& interlay = config.declared.interlays[i];
    const bool meet = interlay.bind == config.control_host || is_any_host(interlay.bind) ||
                      is_any_host(config.control_host);
    if (interlay.port == 0 || interlay.port != config.control_port || !meet) continue;
    const std::string port = join_path(join_path("interlays", i), "port");
    return Error{Errc::BadConfig, config.config_path, port + ": is the control port, too"};
  }
  return success();
}

}  // namespace

Result<ProcessConfig> load_process_config(const FlagValues& flags, const Environment& environment) {
  ProcessConfig config;
  config.flags = flags;
  config.instance = host_name();
  // The files' own paths come first, as the files lie below everything else that is given.
  for (const Setting& setting : settings()) {
    const std::string_view name = setting.name;
    if (name != "config" && name != "secrets") continue;
    if (Status status = assign_given(setting, flags, environment, config); !status) {
      return status.error();
    }
  }
  // Before the other one, whose interlays may stand in front of endpoints with credentials.
  if (!config.secrets_path.empty()) {
    if (Status status = read_secrets_file(config.secrets_path, config); !status) {
      return status.error();
    }
  }
  if (!config.config_path.empty()) {
    if (Status status = read_config_file(config.config_path, config); !status) {
      return status.error();
    }
  }
  for (const Setting& setting : settings()) {
    if (Status status = assign_given(setting, flags, environment, config); !status) {
      return status.error();
    }
  }
  if (Status status = check_ports(config); !status) return status.error();
  return config;
}

}  // namespace crossfade
