// Endpoints from JSON, to JSON, and to the store and back.
#include "control/definitions/endpoint.h"

#include <algorithm>

#include "control/definitions/postgres_url.h"
#include "control/definitions/redis_url.h"
#include "control/definitions/strategy.h"
#include "control/definitions/tls.h"
#include "protocols/base/ascii.h"
#include "tls/context.h"

namespace crossfade {

namespace {

constexpr std::size_t kHostMax = 255;         // bytes; the longest DNS name is shorter
constexpr std::size_t kSecretMax = 4096;      // bytes
constexpr std::size_t kDatabaseNameMax = 63;  // bytes; PostgreSQL cuts off what is longer
constexpr std::size_t kUrlMax = 16'384;       // bytes; a secret may be percent-encoded

EndpointKind read_kind(Fields& fields) {
  const std::string kind = ascii_lower(fields.required_string("kind", kIdMax));
  if (kind == "postgres" || kind == "postgresql") return EndpointKind::Postgres;
  if (kind != "redis") fields.complain("kind", "must be redis or postgres");
  return EndpointKind::Redis;
}

// An address of that kind of which nothing is known yet.
EndpointAddress blank(EndpointKind kind) {
  EndpointAddress address;
  address.kind = kind;
  if (kind == EndpointKind::Postgres) {
    address.port = kPostgresPort;
    address.tls = make_tls(TlsClientSettings{.mode = TlsMode::Prefer});  // as libpq
  }
  return address;
}

// Redis' protocol has no way to ask a server whether it speaks TLS.
Negotiation negotiation_of(EndpointKind kind) {
  return kind == EndpointKind::Redis ? Negotiation::None : Negotiation::Offered;
}

void read_tls(Fields& fields, EndpointAddress& address) {
  const Json* json = fields.optional("tls");
  if (json == nullptr) return;
  auto tls =
      read_server_tls(*json, fields.path_of("tls"), address.tls, negotiation_of(address.kind));
  if (!tls) return fields.take(tls.error());
  address.tls = std::move(*tls);
}

// Redis has numbers, PostgreSQL names; null takes the name away.
void read_database(Fields& fields, const char* member, EndpointAddress& address) {
  if (address.kind == EndpointKind::Redis) {
    if (const auto number = fields.whole(member, 0, kDatabaseMax)) {
      address.db = static_cast<std::uint32_t>(*number);
    }
    return;
  }
  const Json* given = fields.optional(member);
  if (given != nullptr && given->is_null()) address.database.clear();
  if (const auto name = fields.string(member, kDatabaseNameMax)) address.database = *name;
}

// {"host", "port", "db"|"database", "username", "password", "tls"}, each replacing what it names.
void read_members(Fields& fields, EndpointAddress& address) {
  if (const auto host = fields.string("host", kHostMax)) {
    const bool plain = std::all_of(host->begin(), host->end(), [](char c) {
      return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '/' && c != '@';
    });
    if (host->empty() || !plain) fields.complain("host", "must be a host name or an address");
    address.host = *host;
  }
  if (const auto port = fields.whole("port", 1, 65535)) {
    address.port = static_cast<std::uint16_t>(*port);
  }
  for (const char* name : {"db", "database"}) read_database(fields, name, address);
  // null takes credentials away; absent leaves them.
  if (const Json* user = fields.optional("username"); user != nullptr && user->is_null()) {
    address.username.clear();
  }
  if (const auto user = fields.string("username", kSecretMax)) address.username = *user;
  if (const Json* secret = fields.optional("password"); secret != nullptr && secret->is_null()) {
    address.password.clear();
  }
  if (const auto secret = fields.string("password", kSecretMax)) {
    if (*secret != kHidden) address.password = *secret;
  }
  read_tls(fields, address);
  if (address.host.empty()) fields.complain("host", "is required");
  // PostgreSQL lets in who needs no password.
  const bool lacks_password = address.password.empty() && !address.username.empty();
  if (lacks_password && address.kind == EndpointKind::Redis) {
    fields.complain("password", "is required with a username");
  }
}

void read_url(Fields& fields, const std::string& url, EndpointAddress& address) {
  auto parsed =
      address.kind == EndpointKind::Redis ? parse_redis_url(url) : parse_postgres_url(url);
  if (!parsed) {
    fields.complain("url", parsed.error().reason);
    return;
  }
  // A GET shows the URL with a hidden password; sent back, it means the one we have.
  if (parsed->password == kHidden && !address.password.empty()) parsed->password = address.password;
  address = std::move(*parsed);
}

void read_address(Fields& fields, EndpointAddress& address) {
  if (const Json* inner = fields.optional("write_conn"); inner != nullptr) {
    Fields within(*inner, fields.path_of("write_conn"));
    read_address(within, address);
    if (auto error = within.finish()) fields.take(*error);
  } else if (const auto url = fields.string("url", kUrlMax)) {
    read_url(fields, *url, address);
    const bool scheme_says_so = address.kind == EndpointKind::Redis && address.tls;
    read_tls(fields, address);
    if (scheme_says_so && !address.tls) fields.complain("tls", "contradicts rediss:// of the url");
  } else {
    read_members(fields, address);
  }
}

// null takes it away; absent leaves it.
void read_shard(Fields& fields, std::string& shard) {
  const Json* given = fields.optional("shard");
  if (given == nullptr) return;
  shard.clear();
  if (given->is_null()) return;
  const std::string* name = given->string();
  if (name == nullptr || name->empty() || name->size() > kInstanceMax) {
    fields.complain("shard", "must be a name of 1 to 256 bytes");
  } else {
    shard = *name;
  }
}

// Into what `spec` has of it.
Status read_config(const Json& config, const std::string& path, EndpointSpec& spec) {
  EndpointSpec read = spec;
  Fields fields(config, path);
  read_shard(fields, read.shard);
  read_address(fields, read.address);
  if (auto error = fields.finish()) return *error;
  spec = std::move(read);
  return success();
}

// The id under either of its names.
std::string read_endpoint_id(Fields& fields) {
  const bool older = fields.optional("endpoint") != nullptr;
  const bool newer = fields.optional("id") != nullptr;
  if (older && newer) fields.complain("endpoint", "is given beside id: give one of them");
  return read_id(fields, older ? "endpoint" : "id");
}

}  // namespace

Result<EndpointSpec> read_endpoint(const Json& body, const std::string& path) {
  Fields fields(body, path);
  EndpointSpec spec;
  spec.id = read_endpoint_id(fields);
  const EndpointKind kind = read_kind(fields);
  spec.description = fields.string("description", kDescriptionMax).value_or("");
  if (const Json* config = fields.required("config"); config != nullptr && !fields.failed()) {
    spec.address = blank(kind);
    const Status read = read_config(*config, fields.path_of("config"), spec);
    if (!read) return read.error();
  }
  if (auto error = fields.finish()) return *error;
  spec.address.id = spec.id;
  return spec;
}

Result<EndpointSpec> patch_endpoint(const EndpointSpec& spec, const Json& body) {
  Fields fields(body, "");
  EndpointSpec patched = spec;
  for (const char* name : {"id", "endpoint"}) {
    const auto id = fields.string(name, kIdMax);
    if (id && *id != spec.id) fields.complain(name, "can not be changed");
  }
  if (fields.optional("kind") != nullptr && read_kind(fields) != spec.address.kind) {
    fields.complain("kind", "can not be changed");
  }
  if (const Json* text = fields.optional("description"); text != nullptr) {
    patched.description = fields.string("description", kDescriptionMax).value_or("");
  }
  if (const Json* config = fields.optional("config"); config != nullptr && !fields.failed()) {
    if (const Status read = read_config(*config, "config", patched); !read) return read.error();
  }
  if (auto error = fields.finish()) return *error;
  patched.address.id = patched.id;
  return patched;
}

EndpointSpec spec_of(const Endpoint& endpoint) {
  return {endpoint.identity.id, endpoint.address, endpoint.description, endpoint.shard};
}

bool same_place(const EndpointAddress& one, const EndpointAddress& other) {
  return one.host == other.host && one.port == other.port && one.db == other.db &&
         one.database == other.database;
}

namespace {

Json config_of(const Endpoint& endpoint, Secrets secrets) {
  const EndpointAddress& address = endpoint.address;
  const std::string shown_password = secrets == Secrets::Shown ? address.password : kHidden;
  const bool numbered = address.kind == EndpointKind::Redis;
  const Json name = address.database.empty() ? Json() : Json(address.database);
  Json config =
      Json::object({{"host", address.host},
                    {"port", address.port},
                    {numbered ? "db" : "database", numbered ? Json(address.db) : name},
                    {"username", address.username.empty() ? Json() : Json(address.username)},
                    {"password", address.password.empty() ? Json() : Json(shown_password)},
                    {"tls", render(address.tls, secrets)}});
  if (!endpoint.shard.empty()) config.set("shard", endpoint.shard);
  return config;
}

}  // namespace

Json render(const Endpoint& endpoint) {
  return Json::object({{"id", endpoint.identity.id},
                       {"uuid", endpoint.identity.uuid},
                       {"kind", name_of(endpoint.address.kind)},
                       {"config", config_of(endpoint, Secrets::Hidden)},
                       {"description", endpoint.description},
                       {"declared_in", endpoint.identity.origin == Origin::File ? "file" : "api"},
                       {"created_at", endpoint.identity.created_at},
                       {"updated_at", endpoint.identity.updated_at}});
}

Json to_stored(const Endpoint& endpoint) {
  Json stored = Json::object({});
  store_identity(endpoint.identity, stored);
  stored.set("kind", name_of(endpoint.address.kind));
  stored.set("config", config_of(endpoint, Secrets::Shown));
  stored.set("description", endpoint.description);
  return stored;
}

Result<Endpoint> endpoint_from_stored(const Json& stored) {
  Fields fields(stored, "endpoint");
  Endpoint endpoint;
  endpoint.identity = stored_identity(fields);
  const EndpointKind kind = read_kind(fields);
  endpoint.description = fields.string("description", kDescriptionMax).value_or("");
  const Json* config = fields.required("config");
  if (auto error = fields.finish()) return *error;
  EndpointSpec spec{.id = endpoint.identity.id, .address = blank(kind), .description = {}};
  if (const Status read = read_config(*config, "endpoint.config", spec); !read) return read.error();
  endpoint.address = std::move(spec.address);
  endpoint.address.id = endpoint.identity.id;
  endpoint.shard = std::move(spec.shard);
  return endpoint;
}

}  // namespace crossfade
