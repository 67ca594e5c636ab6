// A connection to PostgreSQL where there is none: errors come in time, say what is wrong, and hold
// no secret. Real servers: tests/integration/pg_digest_test.py.
#include "movement/postgres_wire.h"

#include <doctest/doctest.h>

#include <chrono>
#include <stop_token>
#include <string>
#include <thread>

#include "server.h"

namespace crossfade {
namespace {

constexpr std::uint32_t kLong_ms = 60'000;

EndpointAddress address_at(std::uint16_t port, const std::string& user = "app") {
  EndpointAddress address;
  address.kind = EndpointKind::Postgres;
  address.id = "there";
  address.host = "127.0.0.1";
  address.port = port;
  address.username = user;
  address.password = "pencil";
  return address;
}

Error error_of(const EndpointAddress& address, std::uint32_t timeout_ms,
               std::stop_token stop = {}) {
  auto opened = PostgresWire::open(address, {}, timeout_ms, std::move(stop));
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().message().find("pencil") == std::string::npos);
  CHECK(opened.error().message().find("endpoint 'there'") != std::string::npos);
  return opened.error();
}

// Answers the first client with those bytes, whatever it says.
class Answering {
 public:
  explicit Answering(std::string answer) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = loopback(0);
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket_, 1) == 0);
    socklen_t size = sizeof address;
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, answer = std::move(answer)] {
      client_ = ::accept(socket_, nullptr, nullptr);
      (void)::send(client_, answer.data(), answer.size(), MSG_NOSIGNAL);
    });
  }
  ~Answering() {
    thread_.join();
    ::close(client_);
    ::close(socket_);
  }
  std::uint16_t port() const { return port_; }

 private:
  int socket_;
  int client_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST_CASE("postgres connection: without a user of its own nobody is asked") {
  CHECK(error_of(address_at(1, ""), kLong_ms).code == Errc::BadConfig);
}

TEST_CASE("postgres connection: a server that says nothing is given up in time") {
  const SilentPort silent;
  const Error error = error_of(address_at(silent.port()), 50);
  CHECK(error.code == Errc::Unavailable);
  CHECK(error.reason == "no answer in time");
}

TEST_CASE("postgres connection: a stop ends the waiting") {
  const SilentPort silent;
  std::stop_source stop;
  stop.request_stop();
  CHECK(error_of(address_at(silent.port()), kLong_ms, stop.get_token()).reason == "stopped");
}

TEST_CASE("postgres connection: what is no server of PostgreSQL is not believed") {
  for (const std::string& answer :
       {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string("R\0\0\0\4", 5),
        std::string("R\0\0\0\3", 5), std::string("Z\0\0\0\6II", 7),
        std::string("R\0\0\0\x08\0\0\1\0", 9)}) {
    const Answering server(answer);
    const Error error = error_of(address_at(server.port()), 500);
    CHECK(error.code != Errc::System);
  }
}

TEST_CASE("postgres connection: an error of a server that is busy is none of the configuration") {
  const auto refused = [](const std::string& sqlstate) {
    std::string body = "SFATAL";
    body.append(1, '\0').append("C" + sqlstate).append(1, '\0').append("Mno").append(2, '\0');
    std::string bytes("E\0\0\0", 4);
    bytes.append(1, static_cast<char>(body.size() + 4)).append(body);
    const Answering server(bytes);
    return error_of(address_at(server.port()), kLong_ms);
  };
  CHECK(refused("57P03").code == Errc::Unavailable);
  CHECK(refused("53300").code == Errc::Unavailable);
  CHECK(refused("28P01").code == Errc::BadConfig);
  CHECK(refused("28P01").reason == "no");
}

}  // namespace
}  // namespace crossfade
