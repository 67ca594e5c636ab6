// The control plane as a whole, over a data plane that records: what its probes say.
#include "control/control_plane.h"

#include "bench.h"
#include "http/http_client.h"

namespace crossfade {

namespace {

std::uint16_t port_of(const std::string& address) {
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

}  // namespace

TEST_CASE("control plane: it is not ready while a loop does not take the routing table over") {
  CapturedLog log;
  TempFolder folder;
  RecordedPlane plane;
  ToldServers told;
  told.up[1] = ToldServers::healthy();
  ProcessConfig config;
  config.control_port = 0;
  config.state_path = folder.file("state.db");
  config.tokens = {{"admin", Role::Admin, sha256_of("admin")}};
  ControlPlane control(std::move(config), plane.plane(), told.prober(), {});
  REQUIRE(control.start().ok());
  const auto call = [&](const std::string& method, const std::string& path,
                        const std::string& body = "") {
    Wire wire(port_of(control.address()));
    wire.send(method + " " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n" +
              "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return wire.rest().substr(9, 3);
  };
  const std::string cache = R"({"id":"cache","endpoint":"old","port":7001})";
  CHECK(call("GET", "/readyz") == "200");
  CHECK(call("POST", "/api/v1/endpoints",
             R"({"id":"old","kind":"redis","config":{"host":"10.0.0.1","port":1}})") == "201");
  plane.publishes_to_fail = 2;  // the change and the way back
  CHECK(call("POST", "/api/v1/interlays", cache) == "503");
  CHECK(call("GET", "/readyz") == "503");
  CHECK(call("POST", "/api/v1/interlays", cache) == "201");
  CHECK(call("GET", "/readyz") == "200");
}

}  // namespace crossfade
