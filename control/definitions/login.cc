// Reading and rendering "auth".
#include "control/definitions/login.h"

#include <utility>
#include <variant>

#include "control/definitions/endpoint.h"
#include "control/json/fields.h"

namespace crossfade {

namespace {

constexpr std::size_t kQueryMax = 8192;         // bytes
constexpr std::size_t kUserNameMax = 63;        // bytes; servers cut off what is longer
constexpr std::size_t kPasswordMax = 4096;      // bytes
constexpr std::uint32_t kCacheMax_ms = 60'000;  // a user who is locked out stays in for that long
constexpr const char* kDefaultQuery =
    "SELECT usename, passwd, valuntil FROM pg_catalog.pg_shadow WHERE usename = $1";

std::optional<LoginMode> login_mode_named(const std::string& name) {
  for (const LoginMode mode : {LoginMode::PassThrough, LoginMode::Terminate, LoginMode::Trust}) {
    if (name == name_of(mode)) return mode;
  }
  return std::nullopt;
}

// Verifiers of others would not do: what SCRAM gives here is what servers are entered with.
void read_user(const Json& json, const std::string& path, const InterlayLogin& current,
               InterlayLogin& login, Fields& outer) {
  Fields fields(json, path);
  const std::string name = fields.required_string("name", kUserNameMax);
  const std::string text = fields.required_string("verifier", postgres::kVerifierMax);
  const auto known = current.users.find(name);
  if (name.empty()) fields.complain("name", "must not be empty");
  if (login.users.contains(name)) fields.complain("name", "is given twice");
  if (text == kHidden && known != current.users.end()) {
    login.users.insert(*known);
  } else if (auto parsed = postgres::parse_verifier(text); !parsed) {
    fields.complain("verifier", parsed.error().reason);
  } else if (auto* scram = std::get_if<postgres::ScramVerifier>(&parsed.value())) {
    login.users.emplace(name, std::move(*scram));
  } else {
    fields.complain("verifier", "must be of SCRAM-SHA-256: md5 does not do here");
  }
  if (auto error = fields.finish()) outer.take(*error);
}

void read_users(Fields& fields, const InterlayLogin& current, InterlayLogin& login) {
  const Json* users = fields.optional("users");
  if (users == nullptr || users->is_null()) return;
  const auto* list = users->elements();
  if (list == nullptr || list->size() > kLoginUsersMax) {
    return fields.complain("users", "must be an array of at most 10000 users");
  }
  for (std::size_t i = 0; i < list->size() && !fields.failed(); ++i) {
    const std::string path = fields.path_of("users") + "[" + std::to_string(i) + "]";
    read_user((*list)[i], path, current, login, fields);
  }
}

void read_query(Fields& fields, const InterlayLogin& current, InterlayLogin& login) {
  const Json* given = fields.optional("auth_query");
  if (given == nullptr || given->is_null()) return;
  AuthQuery query{.sql = kDefaultQuery, .username = {}};
  Fields inner(*given, fields.path_of("auth_query"));
  if (auto sql = inner.string("query", kQueryMax)) query.sql = std::move(*sql);
  if (query.sql.find("$1") == query.sql.npos) inner.complain("query", "must name the user as $1");
  query.username = inner.required_string("username", kUserNameMax);
  if (query.username.empty()) inner.complain("username", "must not be empty");
  query.password = inner.string("password", kPasswordMax).value_or("");
  const bool same = current.query && current.query->username == query.username;
  if (query.password == kHidden) query.password = same ? current.query->password : "";
  query.database = inner.string("database", kUserNameMax).value_or("");
  if (const auto ms = inner.whole("cache_ms", 0, kCacheMax_ms)) {
    query.cache_ms = static_cast<std::uint32_t>(*ms);
  }
  if (auto error = inner.finish()) return fields.take(*error);
  login.query = std::move(query);
}

void read_enter_as(Fields& fields, InterlayLogin& login) {
  const auto name = fields.string("enter_as", kIdMax);
  if (!name) return;
  if (login.mode == LoginMode::Trust) {
    return fields.complain("enter_as", "does not go with trust, which enters as the endpoint");
  }
  if (*name == name_of(EnterAs::Endpoint)) {
    login.enter_as = EnterAs::Endpoint;
  } else if (*name != name_of(EnterAs::Client)) {
    fields.complain("enter_as", "must be client or endpoint");
  }
}

Json shown_query(const AuthQuery& query, Secrets secrets) {
  const std::string password = secrets == Secrets::Shown ? query.password : kHidden;
  return Json::object({{"query", query.sql},
                       {"username", query.username},
                       {"password", query.password.empty() ? Json() : Json(password)},
                       {"database", query.database.empty() ? Json() : Json(query.database)},
                       {"cache_ms", query.cache_ms}});
}

}  // namespace

Result<InterlayLogin> read_login(const Json& json, const std::string& path,
                                 const InterlayLogin& current) {
  if (json.is_null()) return InterlayLogin{};
  Fields fields(json, path);
  InterlayLogin login;
  const auto mode = login_mode_named(fields.required_string("mode", kIdMax));
  if (!mode) fields.complain("mode", "must be pass_through, terminate or trust");
  login.mode = mode.value_or(LoginMode::PassThrough);
  read_users(fields, current, login);
  read_query(fields, current, login);
  read_enter_as(fields, login);
  const bool knows = !login.users.empty() || login.query;
  if (login.mode == LoginMode::Terminate && !knows) {
    fields.complain("users", "or auth_query is required with terminate: else nobody is let in");
  } else if (login.mode != LoginMode::Terminate && knows) {
    fields.complain("mode", "must be terminate where users or auth_query are given");
  }
  if (auto error = fields.finish()) return *error;
  return login;
}

Json render(const InterlayLogin& login, Secrets secrets) {
  const bool lends = login.enter_as == EnterAs::Endpoint;
  if (login.mode == LoginMode::PassThrough && !lends) return Json();
  Json shown = Json::object({});
  shown.set("mode", name_of(login.mode));
  if (login.mode == LoginMode::PassThrough) shown.set("enter_as", name_of(login.enter_as));
  if (login.mode != LoginMode::Terminate) return shown;
  Json users = Json::array();
  for (const auto& [name, verifier] : login.users) {
    users.push(Json::object(
        {{"name", name},
         {"verifier", secrets == Secrets::Shown ? postgres::format(verifier) : kHidden}}));
  }
  shown.set("users", std::move(users));
  shown.set("auth_query", login.query ? shown_query(*login.query, secrets) : Json());
  shown.set("enter_as", name_of(login.enter_as));
  return shown;
}

std::optional<std::string> login_objection(const InterlayLogin& login,
                                           const EndpointAddress& endpoint) {
  if (login == InterlayLogin{}) return std::nullopt;
  if (endpoint.kind != EndpointKind::Postgres) return "is for PostgreSQL interlays only";
  return std::nullopt;
}

}  // namespace crossfade
