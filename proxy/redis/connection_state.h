// The state that a server keeps for a connection, as far as both sides must agree on it: login,
// RESP version, database, name.
//
// The session's state changes when a server has said OK to the client's own command; another
// upstream is brought to it by the commands that sync_commands() writes, just before it is needed.
// Knows nothing of sockets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocols/redis/command.h"
#include "strategies/table.h"

namespace crossfade::redis {

struct Credentials {
  std::string username;  // empty: AUTH <password>
  std::string password;

  bool empty() const { return username.empty() && password.empty(); }
  bool operator==(const Credentials&) const = default;
};

struct ConnectionState {
  int resp = 2;
  std::optional<std::uint32_t> db;  // nullopt: never selected; each side's own default
  Credentials login;                // empty: never logged in
  std::string name;                 // empty: none

  bool operator==(const ConnectionState&) const = default;
};

// A change that takes effect when the server answers the request with anything but an error.
struct StateChange {
  bool reset = false;  // RESET: everything back to its beginning
  std::optional<std::uint32_t> db;
  std::optional<int> resp;
  std::optional<Credentials> login;
  std::optional<std::string> name;

  // This change and then `later`.
  void then(const StateChange& later);
};
void apply(const StateChange& change, ConnectionState& state);

// Whose credentials open a connection.
enum class Login : std::uint8_t {
  Client,   // what the client has logged in with
  Endpoint  // the endpoint's own, where it has any, else the client's
};
// Appends to `out` the commands that bring a connection to `endpoint` from `have` to `want`, and
// brings `have` there; returns how many commands.
unsigned sync_commands(ConnectionState& have, const ConnectionState& want,
                       const EndpointAddress& endpoint, Login login, std::string& out);

}  // namespace crossfade::redis
