// Publishing tables, opening and closing ports, summing counters: control's calls, run on the
// loops.
#include "proxy/data_plane.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <set>
#include <utility>

namespace crossfade {

namespace {

constexpr std::chrono::seconds kAdoptionLimit{10};
constexpr std::chrono::seconds kCopyLimit{10};

// Counts down from any thread; the waiter gives up after a limit. Shared, as a late loop may
// outlive it.
class Latch {
 public:
  explicit Latch(std::size_t count) : left_(count) {}
  void done() {
    std::lock_guard lock(mutex_);
    if (--left_ == 0) all_done_.notify_all();
  }
  bool wait_for(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return all_done_.wait_for(lock, limit, [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_done_;
  std::size_t left_;
};

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& from) noexcept : fd_(std::exchange(from.fd_, -1)) {}
  Fd& operator=(Fd&& from) noexcept {
    std::swap(fd_, from.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Error refused(const ListenSpec& spec, int error) {
  return {error == EADDRINUSE ? Errc::Conflict : Errc::System,
          "listen on " + spec.bind + ":" + std::to_string(spec.port), std::strerror(error)};
}

struct BindAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  void set_port(std::uint16_t port) {
    if (storage.ss_family == AF_INET) {
      reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
    } else {
      reinterpret_cast<sockaddr_in6&>(storage).sin6_port = htons(port);
    }
  }
};

Result<BindAddress> parse_bind(const ListenSpec& spec) {
  BindAddress address;
  if (uv_ip4_addr(spec.bind.c_str(), spec.port, reinterpret_cast<sockaddr_in*>(&address.storage)) ==
      0) {
    address.size = sizeof(sockaddr_in);
  } else if (uv_ip6_addr(spec.bind.c_str(), spec.port,
                         reinterpret_cast<sockaddr_in6*>(&address.storage)) == 0) {
    address.size = sizeof(sockaddr_in6);
  } else {
    return Error{Errc::BadInput, "listen on " + spec.bind, "not a numeric address"};
  }
  return address;
}

enum class Sharing : std::uint8_t { Exclusive, ReusePort };

Result<Fd> open_socket(const ListenSpec& spec, const BindAddress& address, Sharing sharing) {
  Fd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return refused(spec, errno);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (sharing == Sharing::ReusePort) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    return refused(spec, errno);
  }
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(address).sin_port
                                            : reinterpret_cast<sockaddr_in6&>(address).sin6_port);
}

// Sides that were written to along with the other one, and may be the only one for a write by the
// next table. Back to old, as by a rollback, that is old alone: no copy to new keeps anybody there.
std::set<CopyLeave::Target> alone_after(const Table* before, const Table& next) {
  std::set<CopyLeave::Target> alone;
  if (!before) return alone;
  for (const InterlayRoutePtr& route : before->interlays) {
    if (!route->authority()) continue;
    const auto then = std::find_if(next.interlays.begin(), next.interlays.end(),
                                   [&](const auto& one) { return one->id == route->id; });
    const bool there = then != next.interlays.end();
    if (there && (*then)->authority() && (*then)->migration == route->migration) continue;
    alone.emplace(route->migration, Side::Old);
    const bool back = there && !(*then)->strategy && (*then)->old_side == route->old_side;
    if (!back) alone.emplace(route->migration, Side::New);
  }
  return alone;
}

}  // namespace

EventLoops::EventLoops(unsigned count, const Comparison& comparison) {
  for (unsigned i = 0; i < count; ++i) {
    loops_.push_back(std::make_unique<Loop>(shared_writes_, postgres_, comparison));
  }
}

EventLoops::~EventLoops() { stop(); }

Status EventLoops::start() {
  for (auto& loop : loops_) {
    if (Status started = loop->start(); !started) return started;
  }
  running_ = true;
  return success();
}

void EventLoops::stop() {
  if (!std::exchange(running_, false)) return;
  for (auto& loop : loops_) loop->stop();
}

DataPlane EventLoops::data_plane() {
  return {.publish = [this](TablePtr table) { return publish(std::move(table)); },
          .listen = [this](const ListenSpec& spec) { return listen(spec); },
          .unlisten = [this](const std::string& interlay,
                             std::uint32_t drain_ms) { unlisten(interlay, drain_ms); },
          .telemetry = [this] { return telemetry(); }};
}

void EventLoops::open_doors(RepairDoors& doors) {
  doors.hold = [this](const RepairTask& task, std::uint32_t timeout_ms) {
    return shared_writes_.hold(task, timeout_ms);
  };
  doors.expires = [this](const RepairTask& task, std::uint64_t at_ms) {
    shared_writes_.set_expiry(task, at_ms);
  };
  doors.ghosts = [this](const RepairTask& task, Side side) {
    return shared_writes_.ghosts(task, side);
  };
  doors.fenced = [this](const RepairTask& task, Side side, const std::vector<ServersClient>& gone) {
    shared_writes_.fenced(task, side, gone);
  };
  doors.may_copy = [this](const std::string& migration, Side to) {
    return shared_writes_.copy_leave.take(migration, to);
  };
  doors.rest = [this](const RepairTask& task) { shared_writes_.rest(task); };
  doors.wake = [this](const RepairTask& task, std::uint32_t timeout_ms) {
    return shared_writes_.wake(task, timeout_ms);
  };
}

Status EventLoops::publish(TablePtr table) {
  std::vector<std::vector<Interlay::Counted>> counted(loops_.size());
  {
    std::lock_guard lock(mutex_);
    published_.clear();
    for (const InterlayRoutePtr& route : table->interlays) {
      auto& per_loop = counters_[route->id];
      while (per_loop.size() < loops_.size())
        per_loop.push_back(std::make_shared<InterlayCounters>());
      const ApiNames* const names = names_of(*route);
      count_apis(route->id, names ? names->names() : std::vector<std::string>());
      for (std::size_t i = 0; i < loops_.size(); ++i) {
        ApiCounters apis;
        if (names) {
          for (const std::string& api : names->names()) {
            apis.push_back(api_counters_[route->id][api][i]);
          }
        }
        counted[i].push_back({per_loop[i], std::move(apis)});
      }
      published_.push_back(route->id);
    }
  }
  CopyLeave::Migrations both_sides;
  for (const InterlayRoutePtr& route : table->interlays) {
    if (route->authority()) both_sides.insert(route->migration);
  }
  if (!shared_writes_.copy_leave.narrow(both_sides, alone_after(table_.get(), *table),
                                        kCopyLimit)) {
    return Error{Errc::Timeout, "publish table " + std::to_string(table->epoch),
                 "a key is being repaired for longer than 10 s, and what is written next could be "
                 "overwritten by that; try again"};
  }
  const SharedWritesRegistry::NoRest no_rest(shared_writes_);
  auto adopted = std::make_shared<Latch>(loops_.size());
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    Loop* loop = loops_[i].get();
    loop->post([loop, table, adopted, mine = std::move(counted[i])] {
      loop->adopt(table, mine);
      adopted->done();
    });
  }
  if (!adopted->wait_for(kAdoptionLimit)) {
    return Error{Errc::Timeout, "publish table " + std::to_string(table->epoch),
                 "an event loop has not adopted it within 10 s"};
  }
  shared_writes_.copy_leave.widen(std::move(both_sides));
  table_ = std::move(table);
  return success();
}

// Those that are there no more begin anew when they come back.
void EventLoops::count_apis(const std::string& interlay, const std::vector<std::string>& apis) {
  auto& known = api_counters_[interlay];
  std::erase_if(known,
                [&](const auto& one) { return std::ranges::find(apis, one.first) == apis.end(); });
  for (const std::string& api : apis) {
    auto& per_loop = known[api];
    while (per_loop.size() < loops_.size()) per_loop.push_back(std::make_shared<ApiCounter>());
  }
}

Result<std::uint16_t> EventLoops::listen(const ListenSpec& spec) {
  Result<BindAddress> address = parse_bind(spec);
  if (!address) return address.error();
  // An exclusive bind first: with SO_REUSEPORT alone, a port that another process of ours has would
  // be shared with it silently.
  Result<Fd> exclusive = open_socket(spec, *address, Sharing::Exclusive);
  if (!exclusive) return exclusive.error();
  const std::uint16_t port = port_of(exclusive->get());
  std::vector<Fd> sockets;
  if (loops_.size() == 1) {
    sockets.push_back(std::move(*exclusive));
  } else {
    *exclusive = Fd();
    address->set_port(port);
    for (std::size_t i = 0; i < loops_.size(); ++i) {
      Result<Fd> shared = open_socket(spec, *address, Sharing::ReusePort);
      if (!shared) return shared.error();
      sockets.push_back(std::move(*shared));
    }
  }
  auto listening = std::make_shared<Latch>(loops_.size());
  auto failed = std::make_shared<std::atomic<bool>>(false);
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    loops_[i]->post(
        [loop = loops_[i].get(), fd = sockets[i].release(), id = spec.interlay, listening, failed] {
          Interlay* interlay = loop->find(id);
          if (!interlay) ::close(fd);
          if (!interlay || !interlay->listen(fd)) *failed = true;
          listening->done();
        });
  }
  if (!listening->wait_for(kAdoptionLimit) || *failed) {
    unlisten(spec.interlay, 0);
    return Error{Errc::System, "listen on " + spec.bind + ":" + std::to_string(port),
                 "an event loop could not take the socket"};
  }
  return port;
}

void EventLoops::unlisten(const std::string& interlay, std::uint32_t drain_ms) {
  auto drained = std::make_shared<Latch>(loops_.size());
  for (auto& loop : loops_) {
    loop->post([loop = loop.get(), interlay, drained] {
      Interlay* found = loop->find(interlay);
      if (!found) return drained->done();
      found->close_listener();
      found->drain([drained] { drained->done(); });
    });
  }
  if (drained->wait_for(std::chrono::milliseconds(drain_ms))) return;
  auto aborted = std::make_shared<Latch>(loops_.size());
  for (auto& loop : loops_) {
    loop->post([loop = loop.get(), interlay, aborted] {
      if (Interlay* found = loop->find(interlay)) found->abort();
      aborted->done();
    });
  }
  aborted->wait_for(kAdoptionLimit);
}

Telemetry EventLoops::telemetry() {
  Telemetry out;
  out.adopted_epoch = loops_.empty() ? 0 : loops_[0]->adopted_epoch();
  for (auto& loop : loops_) out.adopted_epoch = std::min(out.adopted_epoch, loop->adopted_epoch());
  std::lock_guard lock(mutex_);
  for (const std::string& id : published_) {
    InterlayTraffic traffic;
    traffic.id = id;
    for (const auto& counters : counters_[id]) counters->add_to(traffic);
    for (const auto& [api, per_loop] : api_counters_[id]) {
      ApiTraffic& one = traffic.apis.emplace_back(ApiTraffic{.api = api});
      for (const auto& counter : per_loop) {
        for (std::size_t side = 0; side < kSides; ++side) {
          one.requests[side] += counter->requests[side].get();
        }
      }
    }
    out.interlays.push_back(std::move(traffic));
  }
  return out;
}

}  // namespace crossfade
