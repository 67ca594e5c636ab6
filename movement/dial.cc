// connect(2) without blocking, one address after the other.
#include "movement/dial.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>

namespace crossfade {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLook{50};  // how often a wait looks at its stop token

struct FreeAddresses {
  void operator()(addrinfo* list) const noexcept { freeaddrinfo(list); }
};

std::string words_of(int number) { return std::generic_category().message(number); }

// Returns the socket, or -1 with `why`.
int dial_one(const addrinfo& address, Deadline end, const std::stop_token& stop, std::string& why) {
  const int made = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (made < 0) {
    why = words_of(errno);
    return -1;
  }
  int error = 0;
  if (::connect(made, address.ai_addr, address.ai_addrlen) != 0) error = errno;
  if (error == EINPROGRESS) {
    if (wait_for(made, POLLOUT, end, stop) == Waited::Ready) {
      socklen_t size = sizeof error;
      if (getsockopt(made, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    } else {
      error = ETIMEDOUT;
    }
  }
  if (error != 0) {
    why = error == ETIMEDOUT ? "no answer in time" : words_of(error);
    ::close(made);
    return -1;
  }
  const int on = 1;  // both only help: without them it is slower, and a dead peer is noticed later
  setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(made, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  return made;
}

}  // namespace

Waited wait_for(int socket, short events, Deadline end, const std::stop_token& stop) {
  bool stopping = false;
  for (;;) {
    const Deadline now = steady_clock::now();
    if (!stopping && stop.stop_requested()) {
      stopping = true;
      end = std::min(end, now + kStopGrace);
    }
    const auto left = std::chrono::ceil<milliseconds>(end - now);
    pollfd waited{.fd = socket, .events = events, .revents = 0};
    const auto slice = std::clamp(left, milliseconds(0), kLook);
    const int ready = poll(&waited, 1, static_cast<int>(slice.count()));
    if (ready > 0) return Waited::Ready;
    if (left.count() <= 0) return stopping ? Waited::Stopped : Waited::Late;
  }
}

void rest(std::chrono::nanoseconds time, const std::stop_token& stop) {
  if (time <= std::chrono::nanoseconds(0)) return;
  std::mutex mutex;
  std::condition_variable_any wake;  // the stop token wakes it
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, time, [] { return false; });
}

Result<int> dial(const std::string& host, std::uint16_t port, Deadline end,
                 const std::stop_token& stop) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int resolved = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (resolved != 0) return Error{Errc::Unavailable, "", gai_strerror(resolved)};
  const std::unique_ptr<addrinfo, FreeAddresses> addresses(list);
  std::string why = "no address";
  for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next) {
    if (stop.stop_requested()) return Error{Errc::Unavailable, "", "stopped"};
    if (const int made = dial_one(*one, end, stop, why); made >= 0) return made;
  }
  return Error{Errc::Unavailable, "", why};
}

}  // namespace crossfade
