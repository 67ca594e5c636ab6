// HTTP by hand, for tests: sends bytes, reads until the end.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace crossfade {

inline constexpr int kAnswerLimit_ms = 30'000;  // for what takes milliseconds, on a busy machine

class Wire {
 public:
  explicit Wire(std::uint16_t port) : Wire() { REQUIRE(connect(port)); }
  Wire(Wire&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  Wire& operator=(Wire&&) = delete;
  ~Wire() {
    if (socket_ >= 0) ::close(socket_);
  }

  // Somebody listens there.
  static bool reaches(std::uint16_t port) { return Wire().connect(port); }

  // Sends as much as the peer takes.
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  // Everything until the peer closes.
  std::string rest() {
    std::string bytes;
    std::array<char, 65536> buffer;
    for (;;) {
      pollfd readable{socket_, POLLIN, 0};
      REQUIRE_MESSAGE(::poll(&readable, 1, kAnswerLimit_ms) == 1, "no answer in time");
      const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
      if (got <= 0) return bytes;
      bytes.append(buffer.data(), static_cast<std::size_t>(got));
    }
  }

  // True when the peer has closed, or sent something.
  bool stirs(int limit_ms) {
    pollfd readable{socket_, POLLIN, 0};
    return ::poll(&readable, 1, limit_ms) == 1;
  }

 private:
  Wire() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}

  bool connect(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

  int socket_;
};

struct HttpAnswer {
  int status = 0;
  std::string head;
  std::string body;
};

inline HttpAnswer answer_of(const std::string& bytes) {
  HttpAnswer answer;
  const std::size_t end = bytes.find("\r\n\r\n");
  REQUIRE_MESSAGE(end != bytes.npos, bytes);
  answer.head = bytes.substr(0, end + 2);
  answer.body = bytes.substr(end + 4);
  REQUIRE(answer.head.starts_with("HTTP/1.1 "));
  answer.status = std::stoi(answer.head.substr(9, 3));
  return answer;
}

// One request; `headers` as lines that end in CRLF.
inline HttpAnswer http(std::uint16_t port, const std::string& method, const std::string& path,
                       const std::string& body = "", const std::string& headers = "") {
  Wire wire(port);
  std::string request = method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + headers;
  if (!body.empty()) request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  wire.send(request + "\r\n" + body);
  return answer_of(wire.rest());
}

}  // namespace crossfade
