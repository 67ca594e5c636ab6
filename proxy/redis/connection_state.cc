// Writing the commands that bring one side's connection to the state of the session.
#include "proxy/redis/connection_state.h"

#include "protocols/redis/command_bytes.h"

namespace crossfade::redis {

void StateChange::then(const StateChange& later) {
  if (later.reset) *this = later;
  if (later.db) db = later.db;
  if (later.resp) resp = later.resp;
  if (later.login) login = later.login;
  if (later.name) name = later.name;
}

void apply(const StateChange& change, ConnectionState& state) {
  if (change.reset) state = ConnectionState{};
  if (change.db) state.db = change.db;
  if (change.resp) state.resp = *change.resp;
  if (change.login) state.login = *change.login;
  if (change.name) state.name = *change.name;
}

unsigned sync_commands(ConnectionState& have, const ConnectionState& want,
                       const EndpointAddress& endpoint, Login login, std::string& out) {
  unsigned count = 0;
  Credentials as = want.login;
  if (login == Login::Endpoint && !(endpoint.username.empty() && endpoint.password.empty())) {
    as = {endpoint.username, endpoint.password};
  }
  if (as.empty() && !have.login.empty()) {  // there is no other way to log out
    append_command(out, {"RESET"});
    ++count;
    have = ConnectionState{};
  }
  if (!as.empty() && !(as == have.login)) {
    if (as.username.empty()) {
      append_command(out, {"AUTH", as.password});
    } else {
      append_command(out, {"AUTH", as.username, as.password});
    }
    ++count;
  }
  if (want.resp != have.resp) {
    append_command(out, {"HELLO", std::to_string(want.resp)});
    ++count;
  }
  const std::uint32_t want_db = want.db.value_or(endpoint.db);
  if (want_db != have.db.value_or(0)) {
    append_command(out, {"SELECT", std::to_string(want_db)});
    ++count;
  }
  if (want.name != have.name) {
    append_command(out, {"CLIENT", "SETNAME", want.name});
    ++count;
  }
  have = want;
  have.db = want_db;
  have.login = as;
  return count;
}

}  // namespace crossfade::redis
