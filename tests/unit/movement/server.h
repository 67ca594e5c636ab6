// A real redis-server of the machine, on a free port, in a folder of its own; gone with the test.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace crossfade {

inline constexpr std::uint32_t kLimit_ms = 10'000;  // generous: the machine may be busy

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A socket that listens and never answers; its port is nobody else's while it lives.
class SilentPort {
 public:
  SilentPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket_, 16) == 0);
    socklen_t size = sizeof address;
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~SilentPort() { ::close(socket_); }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

class RedisServer {
 public:
  // `directives`: "--requirepass", "x", … ; waits until it accepts connections.
  explicit RedisServer(std::vector<std::string> directives = {}) {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "crossfade-redis-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
    for (int attempt = 0; attempt < 10 && pid_ < 0; ++attempt) {
      port_ = SilentPort().port();  // free a moment ago
      start(directives);
    }
    REQUIRE_MESSAGE(pid_ > 0, "redis-server did not start: is it installed?");
  }
  ~RedisServer() {
    end();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::uint16_t port() const { return port_; }
  // Stops it where it stands, and lets it go on; its kernel goes on taking bytes for it.
  void freeze() { kill(pid_, SIGSTOP); }
  void thaw() { kill(pid_, SIGCONT); }
  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  // Another process in its place, which knows nothing.
  void begin_anew() {
    end();
    start({});
    REQUIRE(pid_ > 0);
  }

 private:
  void start(const std::vector<std::string>& directives) {
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) become_server(directives);
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < limit) {
      if (accepts()) return;
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;  // the port was taken meanwhile
        return;
      }
      poll(nullptr, 0, 10);
    }
    end();
  }

  [[noreturn]] void become_server(const std::vector<std::string>& directives) const {
    std::vector<std::string> words = {
        "redis-server", "--port",    std::to_string(port_), "--bind",      "127.0.0.1", "--dir",
        folder_,        "--logfile", folder_ + "/log",      "--daemonize", "no"};
    words.insert(words.end(), directives.begin(), directives.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execvp("redis-server", arguments.data());
    _exit(127);
  }

  bool accepts() const {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port_);
    const bool connected =
        ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(socket);
    return connected;
  }

  std::string folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace crossfade
