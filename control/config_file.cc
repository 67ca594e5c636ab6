// Reading the configuration file, each member with its path.
#include "control/config_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "control/api_rules.h"
#include "control/definitions/tls.h"
#include "control/json/fields.h"
#include "control/json/parse.h"
#include "control/log.h"

namespace crossfade {

namespace {

constexpr std::size_t kFileMax = 16u << 20;            // bytes of the whole file
constexpr std::size_t kTextMax = 4096;                 // bytes of a path, a host, a name
constexpr std::uint32_t kDrainMax = 3'600'000;         // ms
constexpr std::uint32_t kLedgerMax = 100'000'000;      // entries
constexpr std::uint32_t kBodyMin = 1024;               // bytes
constexpr std::uint32_t kBodyMax = 64u << 20;          // bytes
constexpr std::uint32_t kRequestTimeoutMax = 600'000;  // ms
constexpr std::uint32_t kFailuresMax = 1'000'000;      // calls, lines
constexpr std::uint32_t kFailingPeersMax = 1'000'000;  // addresses
constexpr std::uint32_t kCompareMax = 100'000;         // pairs, samples
constexpr std::uint32_t kCompareBytesMax = 64u << 20;  // bytes of a reply
constexpr std::uint32_t kCompareKeptMax = 1u << 30;    // bytes of all kept ones of a loop
constexpr std::uint32_t kEvictionsMax = 86'400'000;    // ms
constexpr std::uint32_t kCatalogPauseMax = 3'600'000;  // ms
constexpr std::uint32_t kComparePauseMax = 60'000;     // ms

void read_text(Fields& fields, const char* name, std::string& into) {
  if (const auto text = fields.string(name, kTextMax)) {
    if (text->empty()) fields.complain(name, "must not be empty");
    into = *text;
  }
}

template <class Number>
void read_whole(Fields& fields, const char* name, std::uint64_t min, std::uint64_t max,
                Number& into) {
  if (const auto value = fields.whole(name, min, max)) into = static_cast<Number>(*value);
}

// Reads the member of that name by `read`, when it is there and nothing went wrong before.
template <class Read>
void read_member(Fields& fields, const char* name, Read&& read) {
  const Json* member = fields.optional(name);
  if (member == nullptr || member->is_null() || fields.failed()) return;
  if (const Status status = read(*member, fields.path_of(name)); !status) {
    fields.take(status.error());
  }
}

// Calls read(element, path) for each element of an array.
template <class Read>
Status for_each_element(const Json& array, const std::string& path, Read&& read) {
  if (array.elements() == nullptr) {
    return error_at(path, std::string("must be an array, is ") + array.sort());
  }
  std::size_t index = 0;
  for (const Json& element : *array.elements()) {
    if (Status status = read(element, join_path(path, index++)); !status) return status;
  }
  return success();
}

Status read_control(const Json& json, const std::string& path, ProcessConfig& config) {
  Fields fields(json, path);
  read_text(fields, "host", config.control_host);
  read_whole(fields, "port", 0, 65535, config.control_port);
  if (const Json* said = fields.optional("tls")) {
    auto tls = read_port_tls(*said, fields.path_of("tls"), {});
    if (!tls) return tls.error();
    config.control_tls = std::move(*tls);
  }
  read_whole(fields, "body_max", kBodyMin, kBodyMax, config.limits.body_max);
  read_whole(fields, "request_timeout_ms", 100, kRequestTimeoutMax,
             config.limits.request_timeout_ms);
  read_whole(fields, "connections_max", 4, 1024, config.limits.connections_max);
  read_whole(fields, "token_failures_max", 1, kFailuresMax, config.limits.token_failures_max);
  read_whole(fields, "token_failures_per_minute", 1, kFailuresMax,
             config.limits.token_failures_per_minute);
  read_whole(fields, "failing_peers_max", 1, kFailingPeersMax, config.limits.failing_peers_max);
  read_whole(fields, "refusals_logged_per_minute", 1, kFailuresMax,
             config.limits.refusals_logged_per_minute);
  config.limits.probes_token = fields.boolean("probes_token").value_or(config.limits.probes_token);
  config.limits.metrics_token =
      fields.boolean("metrics_token").value_or(config.limits.metrics_token);
  if (auto error = fields.finish()) return *error;
  return success();
}

Status read_token(const Json& json, const std::string& path, std::vector<Token>& tokens) {
  Fields fields(json, path);
  Token token;
  token.name = read_id(fields, "name");
  const std::string role = fields.required_string("role", kTextMax);
  if (role == "admin") {
    token.role = Role::Admin;
  } else if (role != "read") {
    fields.complain("role", "must be read or admin");
  }
  const auto digest = sha256_from_hex(fields.required_string("sha256", kTextMax));
  if (!digest) fields.complain("sha256", "must be 64 hexadecimal digits");
  if (auto error = fields.finish()) return *error;
  token.digest = *digest;
  for (const Token& other : tokens) {
    if (other.name == token.name) {
      return error_at(join_path(path, "name"), "'" + token.name + "' is declared twice");
    }
    if (other.digest == token.digest) {
      return error_at(join_path(path, "sha256"), "is that of token '" + other.name + "' too");
    }
  }
  tokens.push_back(std::move(token));
  return success();
}

Status read_declared_endpoint(const Json& json, const std::string& path,
                              DeclaredResources& declared) {
  auto endpoint = read_endpoint(json, path);
  if (!endpoint) return endpoint.error();
  for (const EndpointSpec& other : declared.endpoints) {
    if (other.id == endpoint->id) {
      return error_at(join_path(path, "id"), "'" + other.id + "' is declared twice");
    }
  }
  declared.endpoints.push_back(std::move(*endpoint));
  return success();
}

Status read_declared_interlay(const Json& json, const std::string& path,
                              DeclaredResources& declared) {
  auto interlay = read_interlay(json, path);
  if (!interlay) return interlay.error();
  for (const InterlaySpec& other : declared.interlays) {
    if (other.id == interlay->id) {
      return error_at(join_path(path, "id"), "'" + other.id + "' is declared twice");
    }
    if (other.port != 0 && other.port == interlay->port && other.bind == interlay->bind) {
      return error_at(join_path(path, "port"), "is the port of interlay '" + other.id + "' too");
    }
  }
  // The file must be whole in itself: it is read before the store, and on every machine alike.
  for (const EndpointSpec& endpoint : declared.endpoints) {
    if (endpoint.id != interlay->endpoint) continue;
    declared.interlays.push_back(std::move(*interlay));
    return success();
  }
  return error_at(join_path(path, "endpoint"),
                  "'" + interlay->endpoint + "' is not an endpoint declared in this file");
}

Status read_limits(const Json& json, const std::string& path, ProcessConfig& config) {
  if (json.members() == nullptr) {
    return error_at(path, std::string("must be an object, is ") + json.sort());
  }
  Json interlay_limits = json;
  Fields fields(json, path);
  read_whole(fields, "drain_ms", 0, kDrainMax, config.drain_ms);
  read_whole(fields, "ledger_max", 0, kLedgerMax, config.ledger_max);
  read_whole(fields, "evictions_ms", 100, kEvictionsMax, config.evictions_ms);
  read_whole(fields, "catalog_ms", 100, kCatalogPauseMax, config.catalog_ms);
  if (fields.failed()) return *fields.finish();
  interlay_limits.erase("drain_ms");
  interlay_limits.erase("ledger_max");
  interlay_limits.erase("evictions_ms");
  interlay_limits.erase("catalog_ms");
  auto overrides = read_interlay_settings(interlay_limits, path, {});
  if (!overrides) return overrides.error();
  config.interlay_defaults = overridden(config.interlay_defaults, *overrides);
  return success();
}

Status read_comparison(const Json& json, const std::string& path, CompareSettings& compare) {
  Fields fields(json, path);
  read_whole(fields, "compare_queue_max", 1, kCompareMax, compare.compare_queue_max);
  read_whole(fields, "compare_reply_max", 64, kCompareBytesMax, compare.compare_reply_max);
  read_whole(fields, "compare_kept_max", 0, kCompareKeptMax, compare.compare_kept_max);
  read_whole(fields, "compare_pause_ms", 0, kComparePauseMax, compare.compare_pause_ms);
  read_whole(fields, "compare_timeout_ms", 1, kComparePauseMax, compare.compare_timeout_ms);
  read_whole(fields, "compare_again_max", 1024, kCompareBytesMax, compare.compare_again_max);
  read_whole(fields, "mismatch_samples_max", 0, kCompareMax, compare.mismatch_samples_max);
  compare.redact_values = fields.boolean("redact_values").value_or(compare.redact_values);
  if (auto error = fields.finish()) return *error;
  return success();
}

Status read_log(const Json& json, const std::string& path, ProcessConfig& config) {
  Fields fields(json, path);
  read_text(fields, "level", config.log_level);
  if (!is_log_level(config.log_level)) {
    fields.complain("level", "must be trace, debug, info, warn or error");
  }
  read_text(fields, "format", config.log_format);
  if (!is_log_format(config.log_format)) fields.complain("format", "must be text or json");
  if (auto error = fields.finish()) return *error;
  return success();
}

void read_tokens_and_endpoints(Fields& fields, ProcessConfig& config) {
  read_member(fields, "tokens", [&](const Json& json, const std::string& path) {
    return for_each_element(json, path, [&](const Json& element, const std::string& place) {
      return read_token(element, place, config.tokens);
    });
  });
  read_member(fields, "endpoints", [&](const Json& json, const std::string& path) {
    return for_each_element(json, path, [&](const Json& element, const std::string& place) {
      return read_declared_endpoint(element, place, config.declared);
    });
  });
}

Status read_secrets(const Json& document, ProcessConfig& config) {
  Fields fields(document, "");
  read_tokens_and_endpoints(fields, config);
  if (auto error = fields.finish()) return *error;
  return success();
}

template <class Spec>
Status check_fresh(const std::vector<Spec>& declared, const Spec& spec, const std::string& path) {
  for (const Spec& other : declared) {
    if (other.id != spec.id) continue;
    return error_at(join_path(path, "id"), "'" + spec.id + "' is declared twice");
  }
  return success();
}

// `known` has the templates that were read, as far as apis look at them.
Status read_declared_template(const Json& json, const std::string& path,
                              DeclaredResources& declared, State& known) {
  auto spec = read_template(json, path);
  if (!spec) return spec.error();
  if (Status status = check_fresh(declared.templates, *spec, path); !status) return status;
  const auto endpoint = std::ranges::find(declared.endpoints, spec->endpoint, &EndpointSpec::id);
  if (endpoint == declared.endpoints.end()) {
    return error_at(join_path(path, "endpoint"),
                    "'" + spec->endpoint + "' is not an endpoint declared in this file");
  }
  auto meaning = new_meaning_of(*spec, endpoint->address.kind, path);
  if (!meaning) return meaning.error();
  put(known.templates, TemplateDefinition{.identity = make_identity(spec->id, Origin::File),
                                          .spec = *spec,
                                          .meaning = std::move(*meaning)});
  declared.templates.push_back(std::move(*spec));
  return success();
}

Status read_declared_api(const Json& json, const std::string& path, DeclaredResources& declared,
                         const State& known) {
  auto spec = read_api(json, path);
  if (!spec) return spec.error();
  if (Status status = check_fresh(declared.apis, *spec, path); !status) return status;
  for (std::size_t i = 0; i < spec->bindings.size(); ++i) {
    const std::string& id = spec->bindings[i].template_ref;
    if (find(known.templates, id) != nullptr) continue;
    return error_at(join_path(join_path(join_path(path, "bindings"), i), "template"),
                    "'" + id + "' is not a template declared in this file");
  }
  if (Status status = check_api(known, *resolved(known, *spec), path); !status) return status;
  declared.apis.push_back(std::move(*spec));
  return success();
}

Status read_document(const Json& document, ProcessConfig& config) {
  Fields fields(document, "");
  read_member(fields, "control", [&](const Json& json, const std::string& path) {
    return read_control(json, path, config);
  });
  read_text(fields, "state", config.state_path);
  read_whole(fields, "loops", 1, kLoopsMax, config.loops);
  read_text(fields, "instance", config.instance);
  read_text(fields, "region", config.region);
  read_member(fields, "limits", [&](const Json& json, const std::string& path) {
    return read_limits(json, path, config);
  });
  read_member(fields, "comparison", [&](const Json& json, const std::string& path) {
    return read_comparison(json, path, config.compare);
  });
  read_member(fields, "log", [&](const Json& json, const std::string& path) {
    return read_log(json, path, config);
  });
  read_tokens_and_endpoints(fields, config);
  read_member(fields, "interlays", [&](const Json& json, const std::string& path) {
    return for_each_element(json, path, [&](const Json& element, const std::string& place) {
      return read_declared_interlay(element, place, config.declared);
    });
  });
  State known;
  read_member(fields, "templates", [&](const Json& json, const std::string& path) {
    return for_each_element(json, path, [&](const Json& element, const std::string& place) {
      return read_declared_template(element, place, config.declared, known);
    });
  });
  read_member(fields, "apis", [&](const Json& json, const std::string& path) {
    return for_each_element(json, path, [&](const Json& element, const std::string& place) {
      return read_declared_api(element, place, config.declared, known);
    });
  });
  if (auto error = fields.finish()) return *error;
  return success();
}

// Reads the file at `path` by `read`.
Status read_file(const std::string& path, ProcessConfig& config,
                 Status (*read)(const Json& document, ProcessConfig& config)) {
  const auto unreadable = [&] {
    return Error{Errc::BadConfig, "read configuration file " + path, std::strerror(errno)};
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                             std::fclose);
  if (file == nullptr) return unreadable();
  std::string text(kFileMax + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return unreadable();
  if (text.size() > kFileMax) {
    return Error{Errc::BadConfig, path, "is larger than " + std::to_string(kFileMax) + " bytes"};
  }
  auto document = parse_json(text);
  if (!document) return Error{Errc::BadConfig, path, document.error().reason};
  if (const Status status = read(*document, config); !status) {
    return Error{Errc::BadConfig, path, status.error().reason};
  }
  return success();
}

}  // namespace

Status read_config_document(const Json& document, ProcessConfig& config) {
  if (Status status = read_document(document, config); !status) {
    return Error{Errc::BadConfig, "", status.error().reason};
  }
  return success();
}

Status read_config_file(const std::string& path, ProcessConfig& config) {
  return read_file(path, config, read_document);
}

Status read_secrets_file(const std::string& path, ProcessConfig& config) {
  return read_file(path, config, read_secrets);
}

}  // namespace crossfade
