// "auth" of an interlay, between JSON and what the data plane takes.
#pragma once

#include <optional>
#include <string>

#include "control/definitions/tls.h"
#include "control/json/value.h"
#include "protocols/base/result.h"
#include "strategies/login.h"
#include "strategies/table.h"

namespace crossfade {

inline constexpr std::size_t kLoginUsersMax = 10'000;  // of one interlay

// Reads null | {"mode": "pass_through"|"terminate"|"trust", "users"?: [{"name", "verifier"}],
// "auth_query"?: {"username", "password"?, "database"?, "query"?, "cache_ms"?}, "enter_as"?:
// "client"|"endpoint"}. It replaces all of `current`, but a secret that is given as a GET shows it
// stays that user's.
//   errors  BadInput with the path, never with any of a verifier
Result<InterlayLogin> read_login(const Json& json, const std::string& path,
                                 const InterlayLogin& current);

Json render(const InterlayLogin& login, Secrets secrets);  // null for the default, or the object

// Why an interlay before that endpoint can not have it; nullopt: it can.
std::optional<std::string> login_objection(const InterlayLogin& login,
                                           const EndpointAddress& endpoint);

}  // namespace crossfade
