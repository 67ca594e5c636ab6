// The HTTP server: bounded in every direction, whatever a client sends or does not send.
#include "control/http/server.h"

#include <doctest/doctest.h>

#include <chrono>
#include <list>
#include <thread>

#include "http_client.h"

namespace crossfade {

namespace {

// Serves an echo: "METHOD path?name=value… body", and refuses paths under /no before their body.
class Echo {
 public:
  explicit Echo(HttpLimits limits = {})
      : server_(limits, {.admit = [](const HttpHead& head) -> std::optional<HttpResponse> {
                           if (!head.path.starts_with("/no")) return std::nullopt;
                           return HttpResponse{.status = 403, .body = "no"};
                         },
                         .handle =
                             [](const HttpHead& head, const std::string& body) {
                               std::string text = head.method + " " + head.path;
                               for (const auto& [name, value] : head.query) {
                                 text += "?" + name + "=" + value;
                               }
                               return HttpResponse{.body = text + " " + body, .etag = "\"e\""};
                             },
                         .refuse =
                             [](int status, const std::string& message) {
                               return HttpResponse{.status = status, .body = message};
                             }}) {
    auto port = server_.start("127.0.0.1", 0);
    REQUIRE(port.ok());
    port_ = *port;
  }

  std::uint16_t port() const { return port_; }
  HttpServer& server() { return server_; }

 private:
  HttpServer server_;
  std::uint16_t port_ = 0;
};

std::string chunked(const std::string& body) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", body.size());
  return size + body + "\r\n";
}

// What gzip makes of 10,000 times 'x', and of "text".
const std::string_view kPackedMuch(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x0d\x00\x00\x00\xc2"
    "\xa0\xda\x8f\x6f\x0e\x37\xa0\x00\x00\x00\x00\x00\x00\x00\x00\x00\xe0\xdf"
    "\x00\xa3\xa4\x55\x0d\x10\x27\x00\x00",
    45);
const std::string_view kPackedText(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\x49\xad\x28\x01\x00\xc7\xa7"
    "\x8b\x3b\x04\x00\x00\x00",
    24);

}  // namespace

TEST_CASE("http: every method of the API arrives with path, query and body") {
  Echo echo;
  CHECK(http(echo.port(), "GET", "/a/b?x=1&y=%20z").body == "GET /a/b?x=1?y= z ");
  CHECK(http(echo.port(), "DELETE", "/a").body == "DELETE /a ");
  for (const char* method : {"POST", "PATCH", "PUT", "DELETE"}) {
    CAPTURE(method);
    CHECK(http(echo.port(), method, "/a", "body").body == std::string(method) + " /a body");
  }
  // As `curl -X POST` without data sends it: no length, no body.
  CHECK(http(echo.port(), "POST", "/a").body == "POST /a ");
  const HttpAnswer head = http(echo.port(), "HEAD", "/a");
  CHECK(head.status == 200);
  CHECK(head.body.empty());
  CHECK(head.head.find("ETag: \"e\"\r\n") != std::string::npos);
}

TEST_CASE("http: an answer is whole, whatever part of it is asked for") {
  Echo echo;
  for (const char* range : {"bytes=0-2", "bytes=999-", "bytes=0-0,2-3"}) {
    CAPTURE(range);
    Wire wire(echo.port());
    wire.send(std::string("GET /a HTTP/1.1\r\nHost: h\r\nRange: ") + range + "\r\n\r\n");
    const HttpAnswer answer = answer_of(wire.rest());
    CHECK(answer.status == 200);
    CHECK(answer.body == "GET /a ");
  }
}

TEST_CASE("http: a connection serves one request, and what follows is never one") {
  Echo echo;
  Wire wire(echo.port());
  wire.send("GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string answer = wire.rest();
  CHECK(answer.find("GET /first") != std::string::npos);
  CHECK(answer.find("GET /second") == std::string::npos);
  CHECK(answer.find("Connection: close") != std::string::npos);
}

TEST_CASE("http: a refusal comes before the body, and is seen by whoever still sends it") {
  Echo echo({.body_max = 1024, .request_timeout_ms = 5'000, .connections_max = 4});
  const HttpAnswer refused = http(echo.port(), "POST", "/no", std::string(1'000'000, 'x'));
  CHECK(refused.status == 403);
  CHECK(refused.body == "no");
}

TEST_CASE("http: a body at the limit is read, one byte more is refused, however it comes") {
  Echo echo({.body_max = 1024, .request_timeout_ms = 5'000, .connections_max = 4});
  CHECK(http(echo.port(), "POST", "/a", std::string(1024, 'x')).status == 200);
  CHECK(http(echo.port(), "POST", "/a", std::string(1025, 'x')).status == 413);
  CHECK(http(echo.port(), "POST", "/a", "", "Content-Length: 99999999999\r\n").status == 413);
  const auto send_chunks = [&](const std::string& chunks) {
    Wire wire(echo.port());
    wire.send("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks);
    return answer_of(wire.rest());
  };
  CHECK(send_chunks(chunked(std::string(1000, 'x')) + chunked("y") + "0\r\n\r\n").status == 200);
  CHECK(send_chunks(chunked(std::string(1000, 'x')) + chunked(std::string(1000, 'x')) + "0\r\n\r\n")
            .status == 413);
  // A small body that grows when it is unpacked.
  const auto send_packed = [&](std::string_view packed) {
    return http(echo.port(), "POST", "/a", std::string(packed), "Content-Encoding: gzip\r\n");
  };
  CHECK(send_packed(kPackedMuch).status == 413);
  CHECK(send_packed(kPackedText).body == "POST /a text");
}

TEST_CASE("http: what is no HTTP gets an answer or an end, and the next client is served") {
  Echo echo({.body_max = 1024, .request_timeout_ms = 2'000, .connections_max = 4});
  for (const std::string& bytes :
       {std::string("\r\n\r\n"), std::string("nonsense\r\n\r\n"), std::string("GET\r\n\r\n"),
        std::string("GET / HTTP/9.9\r\n\r\n"), std::string(1000, '\0'),
        "GET /" + std::string(5000, 'a') + " HTTP/1.1\r\n\r\n",
        "GET /" + std::string(50'000, 'a') + " HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX: " + std::string(200'000, 'a') + "\r\n\r\n",
        std::string("BREW / HTTP/1.1\r\nHost: x\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Type: multipart/form-data; "
                    "boundary=x\r\n\r\nhello"),
        std::string("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}) {
    CAPTURE(bytes.substr(0, 60));
    Wire wire(echo.port());
    wire.send(bytes);
    const std::string answer = wire.rest();
    if (!answer.empty()) {
      const int status = answer_of(answer).status;
      CHECK(status >= 400);
      CHECK(status < 500);
    }
    CHECK(http(echo.port(), "GET", "/a").status == 200);
  }
}

TEST_CASE("http: endless headers are cut off") {
  Echo echo({.body_max = 1024, .request_timeout_ms = 20'000, .connections_max = 4});
  Wire wire(echo.port());
  wire.send("GET / HTTP/1.1\r\n");
  const std::string line = "X-Filler: " + std::string(1000, 'x') + "\r\n";
  for (int i = 0; i < 1000; ++i) wire.send(line);  // a megabyte; the limit is 66 KiB
  CHECK(wire.stirs(5'000));
}

TEST_CASE("http: a request that does not arrive whole in time is given up") {
  Echo echo({.body_max = 1024, .request_timeout_ms = 300, .connections_max = 4});
  for (const char* start : {"", "GET / HT", "GET / HTTP/1.1\r\nHost:",
                            "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345"}) {
    CAPTURE(start);
    Wire wire(echo.port());
    wire.send(start);
    const auto began = std::chrono::steady_clock::now();
    const std::string answer = wire.rest();
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
    if (!answer.empty()) CHECK(answer_of(answer).status == 400);
  }
}

TEST_CASE("http: however many slow senders there are, the next request is served") {
  Echo echo({.body_max = 1024, .request_timeout_ms = 60'000, .connections_max = 4});
  std::list<Wire> slow;
  for (int i = 0; i < 40; ++i) {
    slow.emplace_back(echo.port());
    slow.back().send("POST /a HTTP/1.1\r\nContent-Le");
  }
  for (int i = 0; i < 5; ++i) CHECK(http(echo.port(), "GET", "/a").status == 200);
}

TEST_CASE("http: many who send as they should, all at once, are all served by few threads") {
  Echo echo({.body_max = 1024, .request_timeout_ms = 60'000, .connections_max = 4});
  std::list<Wire> crowd;
  // More than there are threads, and as many as may be silent: they come first, and send later.
  for (int i = 0; i < 64; ++i) crowd.emplace_back(echo.port());
  for (Wire& wire : crowd) wire.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  for (Wire& wire : crowd) CHECK(answer_of(wire.rest()).status == 200);
}

TEST_CASE("http: of more silent connections than there is room for the first have to go") {
  Echo echo({.body_max = 1024, .request_timeout_ms = 60'000, .connections_max = 4});
  std::list<Wire> silent;
  for (int i = 0; i < 65; ++i) silent.emplace_back(echo.port());
  CHECK(silent.front().rest().empty());
  silent.pop_front();
  for (Wire& wire : silent) wire.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  for (Wire& wire : silent) CHECK(answer_of(wire.rest()).status == 200);
}

TEST_CASE("http: a port that is taken is refused, also when its owner would share it") {
  Echo echo;
  HttpServer second({}, {});
  const auto port = second.start("127.0.0.1", echo.port());
  REQUIRE_FALSE(port.ok());
  CHECK(port.error().code == Errc::Conflict);
  CHECK(port.error().message().find(std::to_string(echo.port())) != std::string::npos);
}

TEST_CASE("http: stop ends at once, whoever is connected and silent") {
  Echo echo({.body_max = 1024, .request_timeout_ms = 60'000, .connections_max = 4});
  Wire silent(echo.port());
  CHECK(http(echo.port(), "GET", "/a").status == 200);
  const auto began = std::chrono::steady_clock::now();
  echo.server().stop();
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
  CHECK(silent.stirs(5'000));
}

namespace {

// Makes the accept() of whoever listens on that port in this process fail.
void break_listener(std::uint16_t port) {
  for (int descriptor = 0; descriptor < 1024; ++descriptor) {
    int listens = 0;
    socklen_t size = sizeof listens;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0) continue;
    sockaddr_in address{};
    socklen_t address_size = sizeof address;
    ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &address_size);
    if (listens == 1 && ntohs(address.sin_port) == port) ::shutdown(descriptor, SHUT_RDWR);
  }
}

}  // namespace

TEST_CASE("http: a listener that is lost is opened again, and stop is never missed") {
  Echo echo({.body_max = 1024, .request_timeout_ms = 60'000, .connections_max = 4});
  for (int round = 0; round < 2; ++round) {
    CHECK(http(echo.port(), "GET", "/a").status == 200);
    break_listener(echo.port());
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!Wire::reaches(echo.port()) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
  }
  CHECK(http(echo.port(), "GET", "/a").status == 200);
  break_listener(echo.port());
  echo.server().stop();
  CHECK_FALSE(Wire::reaches(echo.port()));
}

TEST_CASE("http: a server that has just started can be stopped") {
  for (int round = 0; round < 20; ++round) {
    const Echo echo({.body_max = 1024, .request_timeout_ms = 60'000, .connections_max = 1});
  }
}

}  // namespace crossfade
