// Reads and writes that end in time.
#include "control/http/bounded_socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace crossfade {

bool BoundedSocket::secure(TlsHandle handle) {
  const int flags = ::fcntl(socket_, F_GETFL);
  if (flags < 0 || ::fcntl(socket_, F_SETFL, flags | O_NONBLOCK) != 0) return false;
  tls_.emplace(std::move(handle), socket_, TlsSocket::Role::Server);
  return until_done([this] { return tls_->handshake(); }, read_until_) >= 0;
}

bool BoundedSocket::is_readable() const { return begin_ != end_ || wait(POLLIN, read_until_); }

bool BoundedSocket::is_writable() const {
  return wait(POLLOUT, write_until_.value_or(Clock::now() + limit_));
}

ssize_t BoundedSocket::read(char* into, std::size_t size) {
  // httplib asks for single bytes while it reads the head.
  if (begin_ == end_) {
    if (bytes_left_ == 0) return -1;
    const ssize_t got = receive(std::min(buffer_.size(), bytes_left_));
    if (got <= 0) return got;
    begin_ = 0;
    end_ = static_cast<std::size_t>(got);
    bytes_left_ -= end_;
  }
  const std::size_t count = std::min(size, end_ - begin_);
  std::copy_n(buffer_.data() + begin_, count, into);
  begin_ += count;
  return static_cast<ssize_t>(count);
}

ssize_t BoundedSocket::write(std::string_view bytes) {
  if (!write_until_) write_until_ = Clock::now() + limit_;
  if (tls_) {
    const ssize_t put = until_done([&] { return tls_->write(bytes); }, *write_until_);
    return put > 0 ? put : -1;
  }
  if (!wait(POLLOUT, *write_until_)) return -1;
  return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

bool BoundedSocket::has_peer() const {
  pollfd poller{.fd = socket_, .events = POLLIN | POLLRDHUP, .revents = 0};
  if (::poll(&poller, 1, 0) <= 0) return true;
  if ((poller.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) return false;
  char byte;
  return ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

std::string BoundedSocket::peer() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::getpeername(socket_, generic, &size) != 0) return {};
  std::array<char, NI_MAXHOST> host{};
  constexpr int kAsNumber = NI_NUMERICHOST;
  if (::getnameinfo(generic, size, host.data(), host.size(), nullptr, 0, kAsNumber) != 0) return {};
  return host.data();
}

void BoundedSocket::finish() {
  if (tls_) tls_->close_notify();
}

ssize_t BoundedSocket::receive(std::size_t most) {
  if (tls_) return until_done([&] { return tls_->read(buffer_.data(), most); }, read_until_);
  if (!wait(POLLIN, read_until_)) return -1;
  return ::recv(socket_, buffer_.data(), most, 0);
}

// Takes a step of TLS as often as it has to wait; bytes, 0 at the end, -1 for a failure.
template <class Step>
ssize_t BoundedSocket::until_done(Step&& step, Clock::time_point until) {
  for (;;) {
    const TlsSocket::Step taken = step();
    switch (taken.outcome) {
      case TlsSocket::Outcome::Some:
        return static_cast<ssize_t>(taken.size);
      case TlsSocket::Outcome::Closed:
        return 0;
      case TlsSocket::Outcome::Failed:
        return -1;
      case TlsSocket::Outcome::AwaitsRead:
        if (!wait(POLLIN, until)) return -1;
        break;
      case TlsSocket::Outcome::AwaitsWrite:
        if (!wait(POLLOUT, until)) return -1;
        break;
    }
  }
}

bool BoundedSocket::wait(short events, Clock::time_point until) const {
  std::chrono::milliseconds pause(0);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) return false;
    pollfd poller{.fd = socket_, .events = events, .revents = 0};
    const int ready = ::poll(&poller, 1, static_cast<int>(std::min(left, pause).count()));
    if (ready > 0) return true;
    if ((ready < 0 && errno != EINTR) || is_given_up()) return false;
    pause = kPatience;
  }
}

}  // namespace crossfade
