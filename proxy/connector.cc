// The system's resolver on libuv's threads, then one connect after another.
#include "proxy/connector.h"

#include <cassert>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "proxy/loop.h"

namespace crossfade {

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  return address.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

// Outlives a connector that stops meanwhile.
struct Connector::Lookup {
  uv_getaddrinfo_t request;
  Connector* connector;
};

bool Connector::start(const EndpointAddress& to, Stream::Connected done) {
  sockaddr_storage numeric{};
  if (uv_ip4_addr(to.host.c_str(), to.port, reinterpret_cast<sockaddr_in*>(&numeric)) == 0 ||
      uv_ip6_addr(to.host.c_str(), to.port, reinterpret_cast<sockaddr_in6*>(&numeric)) == 0) {
    return start(numeric, done);
  }
  assert(!lookup_);
  done_ = done;
  addresses_.clear();
  stream_.expect_connect();
  return look_up(to);
}

bool Connector::start(const sockaddr_storage& to, Stream::Connected done) {
  done_ = done;
  addresses_.assign(1, to);
  stream_.expect_connect();
  return try_next();
}

void Connector::stop() {
  if (lookup_) std::exchange(lookup_, nullptr)->connector = nullptr;
  addresses_.clear();
}

bool Connector::look_up(const EndpointAddress& to) {
  auto lookup = std::make_unique<Lookup>(Lookup{{}, this});
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  const auto found = [](uv_getaddrinfo_t* request, int status, addrinfo* all) {
    const std::unique_ptr<Lookup> own(reinterpret_cast<Lookup*>(request));
    if (Connector* const self = own->connector) {
      self->lookup_ = nullptr;
      for (const addrinfo* one = all; status == 0 && one; one = one->ai_next) {
        sockaddr_storage address{};
        std::memcpy(&address, one->ai_addr, one->ai_addrlen);
        self->addresses_.insert(self->addresses_.begin(), address);
      }
      Loop& loop = self->loop_;
      if (!self->try_next()) self->done_(self->owner_, status != 0 ? status : UV_EADDRNOTAVAIL);
      loop.bury();
    }
    uv_freeaddrinfo(all);
  };
  if (uv_getaddrinfo(loop_.uv(), &lookup->request, found, to.host.c_str(),
                     std::to_string(to.port).c_str(), &hints) != 0) {
    return false;
  }
  lookup_ = lookup.release();
  return true;
}

bool Connector::next() {
  if (lookup_ || addresses_.empty()) return false;
  stream_.close();
  stream_.expect_connect();
  return try_next();
}

bool Connector::try_next() {
  while (!addresses_.empty()) {
    peer_ = addresses_.back();
    addresses_.pop_back();
    if (stream_.connect(reinterpret_cast<const sockaddr*>(&peer_), done_)) return true;
  }
  addresses_.shrink_to_fit();
  return false;
}

}  // namespace crossfade
