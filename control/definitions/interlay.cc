// Interlays from JSON, and to the store and back.
#include "control/definitions/interlay.h"

#include <arpa/inet.h>

#include <array>

#include "control/definitions/login.h"
#include "control/definitions/tls.h"

namespace crossfade {

namespace {

constexpr std::size_t kAddressMax = 45;  // characters of the longest numeric address

bool numeric_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> parsed;
  return inet_pton(AF_INET, text.c_str(), parsed.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), parsed.data()) == 1;
}

// All are numbers by name, but for regions and user, which are taken as a whole.
void read_settings(Fields& fields, Json settings, InterlaySpec& spec) {
  const std::string path = fields.path_of("settings");
  if (const Json* given = settings.find("regions")) {
    auto regions = read_regions(*given, join_path(path, "regions"));
    if (!regions) return fields.take(regions.error());
    spec.regions = std::move(*regions);
    settings.erase("regions");
  }
  if (const Json* given = settings.find("user")) {
    auto user = read_user(*given, join_path(path, "user"));
    if (!user) return fields.take(user.error());
    spec.user = std::move(*user);
    settings.erase("user");
  }
  fields.take(read_interlay_settings(settings, path, spec.settings), spec.settings);
}

// Everything but id, endpoint and port, which POST requires and PATCH does not.
void read_common(Fields& fields, InterlaySpec& spec) {
  if (const auto bind = fields.string("bind", kAddressMax)) {
    if (!numeric_address(*bind)) fields.complain("bind", "must be a numeric address");
    spec.bind = *bind;
  }
  if (const Json* json = fields.optional("tls")) {
    fields.take(read_port_tls(*json, fields.path_of("tls"), spec.tls), spec.tls);
  }
  if (const Json* json = fields.optional("auth")) {
    fields.take(read_login(*json, fields.path_of("auth"), spec.login), spec.login);
  }
  if (const Json* settings = fields.optional("settings"); settings && !settings->is_null()) {
    read_settings(fields, *settings, spec);
  }
  if (const Json* names = fields.optional("sql")) {
    fields.take(read_sql_names(*names, fields.path_of("sql"), spec.sql), spec.sql);
  }
  if (fields.optional("description") != nullptr) {
    spec.description = fields.string("description", kDescriptionMax).value_or("");
  }
}

}  // namespace

std::string make_mock_secret() { return make_uuid() + make_uuid(); }

Result<InterlaySpec> read_interlay(const Json& body, const std::string& path) {
  Fields fields(body, path);
  InterlaySpec spec;
  spec.id = read_id(fields, "id");
  spec.endpoint = fields.required_string("endpoint", kIdMax);
  fields.required("port");
  spec.port = static_cast<std::uint16_t>(fields.whole("port", 0, 65535).value_or(0));
  read_common(fields, spec);
  if (auto error = fields.finish()) return *error;
  return spec;
}

Result<InterlaySpec> patch_interlay(const InterlaySpec& spec, const Json& body) {
  Fields fields(body, "");
  InterlaySpec patched = spec;
  const auto id = fields.string("id", kIdMax);
  if (id && *id != spec.id) fields.complain("id", "can not be changed");
  if (const auto endpoint = fields.string("endpoint", kIdMax)) patched.endpoint = *endpoint;
  if (const auto port = fields.whole("port", 0, 65535)) {
    patched.port = static_cast<std::uint16_t>(*port);
  }
  read_common(fields, patched);
  if (auto error = fields.finish()) return *error;
  return patched;
}

InterlaySpec spec_of(const InterlayDefinition& interlay) {
  return {.id = interlay.identity.id,
          .endpoint = interlay.endpoint,
          .port = interlay.port,
          .bind = interlay.bind,
          .tls = interlay.tls,
          .login = interlay.login,
          .settings = interlay.settings,
          .regions = interlay.regions,
          .user = interlay.user,
          .sql = interlay.sql,
          .description = interlay.description};
}

Json to_stored(const InterlayDefinition& interlay) {
  Json stored = Json::object({});
  store_identity(interlay.identity, stored);
  stored.set("endpoint", interlay.endpoint);
  stored.set("port", interlay.port);
  stored.set("bind", interlay.bind);
  stored.set("tls", render(interlay.tls, Secrets::Shown));
  stored.set("auth", render(interlay.login, Secrets::Shown));
  stored.set("mock_secret", interlay.mock_secret);
  Json settings = Json::object({});
  for (const auto& [name, value] : interlay.settings) settings.set(name, value);
  if (!interlay.regions.empty()) settings.set("regions", render(interlay.regions));
  if (interlay.user) settings.set("user", render(*interlay.user));
  stored.set("settings", std::move(settings));
  if (!interlay.sql.empty()) stored.set("sql", render(interlay.sql));
  stored.set("description", interlay.description);
  stored.set("running", interlay.running);
  return stored;
}

Result<InterlayDefinition> interlay_from_stored(const Json& stored) {
  Fields fields(stored, "interlay");
  InterlayDefinition interlay;
  interlay.identity = stored_identity(fields);
  interlay.endpoint = fields.required_string("endpoint", kIdMax);
  interlay.port = static_cast<std::uint16_t>(fields.whole("port", 0, 65535).value_or(0));
  interlay.running = fields.boolean("running").value_or(true);
  if (auto secret = fields.string("mock_secret", kIdMax)) interlay.mock_secret = std::move(*secret);
  InterlaySpec spec;
  read_common(fields, spec);
  if (auto error = fields.finish()) return *error;
  interlay.bind = spec.bind;
  interlay.tls = spec.tls;
  interlay.login = spec.login;
  interlay.settings = spec.settings;
  interlay.regions = spec.regions;
  interlay.user = spec.user;
  interlay.sql = spec.sql;
  interlay.description = spec.description;
  return interlay;
}

}  // namespace crossfade
