// "tls" of endpoints, interlays and the control port, from JSON and back.
//
// Reading looks at the words only; the files that they name are read by load() of what was made,
// whose errors load_error() puts in their place.
#pragma once

#include <string>

#include "control/json/value.h"
#include "protocols/base/result.h"
#include "tls/context.h"

namespace crossfade {

// Reads false | true | null | {"mode", "insecure", "ca_cert", "cert", "key", "domain"}. true, and
// an object that says nothing of it, mean verify-full. An object changes what it names of
// `current`; null for a member takes it away.
//   errors  BadInput with the path; `prefer` is refused where `negotiates` is false
enum class Negotiation : bool { None, Offered };
Result<ServerTls> read_server_tls(const Json& json, const std::string& path,
                                  const ServerTls& current, Negotiation negotiation);

// Reads false | null | {"server_cert", "server_key", "client_ca_cert"?,
// "require_client_certificate"?, "require_tls"?}. Likewise. With a CA for them, clients need a
// certificate unless it is said that they do not.
Result<PortTls> read_port_tls(const Json& json, const std::string& path, const PortTls& current);

// Whether secrets are shown: keys that are given as text.
enum class Secrets : bool { Hidden, Shown };
Json render(const ServerTls& tls, Secrets secrets);  // false, or the object
Json render(const PortTls& tls, Secrets secrets);    // null, or the object

// Loads what `tls` names, if it is on.
//   errors  BadInput: "config.tls.ca_cert: can not read /etc/x.pem: No such file or directory"
Status load_tls(const ServerTls& tls, const std::string& path);
Status load_tls(const PortTls& tls, const std::string& path);

}  // namespace crossfade
