// ConnectionState: what is sent to bring one side's connection to the session's state.
#include "proxy/redis/connection_state.h"

#include <doctest/doctest.h>

namespace crossfade::redis {

namespace {

std::string sync(ConnectionState have, const ConnectionState& want, const EndpointAddress& to,
                 Login login) {
  std::string out;
  const unsigned count = sync_commands(have, want, to, login, out);
  std::size_t commands = 0;
  for (std::size_t at = 0; (at = out.find('*', at)) != std::string::npos; ++at) ++commands;
  CHECK(count == commands);
  std::string again;
  CHECK(sync_commands(have, want, to, login, again) == 0);  // it is there now
  CHECK(again.empty());
  return out;
}

}  // namespace

TEST_CASE("state: a fresh session needs nothing on a plain endpoint") {
  CHECK(sync({}, {}, EndpointAddress{}, Login::Endpoint).empty());
}

TEST_CASE("state: login comes first, then protocol, database and name") {
  ConnectionState want;
  want.resp = 3;
  want.db = 7;
  want.login = {"ann", "secret"};
  want.name = "web-1";
  CHECK(sync({}, want, EndpointAddress{}, Login::Client) ==
        "*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$6\r\nsecret\r\n"
        "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
        "*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n"
        "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$5\r\nweb-1\r\n");
}

TEST_CASE("state: the endpoint's own credentials replace the client's where they are asked for") {
  EndpointAddress to;
  to.password = "own";
  ConnectionState want;
  want.login = {"ann", "secret"};
  CHECK(sync({}, want, to, Login::Endpoint) == "*2\r\n$4\r\nAUTH\r\n$3\r\nown\r\n");
  CHECK(sync({}, want, to, Login::Client) == "*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$6\r\nsecret\r\n");
}

TEST_CASE("state: an endpoint's database is where clients begin that never selected one") {
  EndpointAddress to;
  to.db = 2;
  CHECK(sync({}, {}, to, Login::Client) == "*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n");
  ConnectionState want;
  want.db = 0;  // selected by the client: meant
  CHECK(sync({}, want, to, Login::Client).empty());
}

TEST_CASE("state: changes add up in order, and RESET forgets what was before it") {
  StateChange first;
  first.db = 3;
  first.name = "a";
  StateChange second;
  second.db = 4;
  first.then(second);
  ConnectionState state;
  apply(first, state);
  CHECK(state.db == 4);
  CHECK(state.name == "a");
  StateChange reset;
  reset.reset = true;
  first.then(reset);
  apply(first, state);
  CHECK(state == ConnectionState{});
}

}  // namespace crossfade::redis
