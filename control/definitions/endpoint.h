// Endpoints: databases somebody else runs.
#pragma once

#include <string>

#include "control/definitions/identity.h"
#include "control/json/value.h"
#include "protocols/base/result.h"
#include "strategies/table.h"

namespace crossfade {

// What a caller or the configuration file declares.
struct EndpointSpec {
  std::string id;
  EndpointAddress address;  // address.id == id
  std::string description;
  std::string shard = {};  // empty: none

  bool operator==(const EndpointSpec&) const = default;
};

struct Endpoint {
  Identity identity;
  EndpointAddress address;  // address.id == identity.id
  std::string description;
  std::string shard = {};  // what part of the data it has, of several; empty: none
};

// What stands in place of a secret in every answer. Given back in a PATCH it means "as it is".
inline constexpr const char* kHidden = "***";

// Reads {"endpoint"|"id", "kind", "config", "description"?} as POST takes it; `path` is where it
// stands in its document ("" in a request, "endpoints[0]" in the file). `config` is one of three
// shapes: a url; host, port, db|database, username, password, tls; or either of them under
// write_conn; beside each of them may be a shard.
//   errors  BadInput with the path; what this version does not support says so
Result<EndpointSpec> read_endpoint(const Json& body, const std::string& path);

// Applies a PATCH body: members that are given replace those of `spec`, those of config one by one
// (a url replaces the whole address).
//   errors  as above; `spec` is then as it was
Result<EndpointSpec> patch_endpoint(const EndpointSpec& spec, const Json& body);

EndpointSpec spec_of(const Endpoint& endpoint);

// Whether both lead to the same data, as whomever: host, port and database. One server under two
// names is two.
bool same_place(const EndpointAddress& one, const EndpointAddress& other);

// As GET shows it, secrets hidden.
Json render(const Endpoint& endpoint);

// For the store, secrets included.
Json to_stored(const Endpoint& endpoint);
Result<Endpoint> endpoint_from_stored(const Json& stored);

}  // namespace crossfade
