// Stream over libuv: what is gathered goes out at once, in one system call of our own, as far as
// the kernel takes it; one queued write of libuv's is for what is left over.
#include "proxy/stream.h"

#include <sys/socket.h>

#include <cassert>
#include <cstring>
#include <utility>

#include "proxy/loop.h"

namespace crossfade {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

struct QueuedWrite {  // owns its bytes until libuv is done with them, even past its stream
  uv_write_t request;
  std::string bytes;
};

// Every entry from libuv ends by burying what died meanwhile, so that no object is deleted while
// one of its member functions is running.
class Entry {
 public:
  explicit Entry(Loop& loop) : loop_(loop) {}
  ~Entry() { loop_.bury(); }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

 private:
  Loop& loop_;
};

}  // namespace

struct StreamCallbacks {
  static void alloc(uv_handle_t* handle, std::size_t, uv_buf_t* out) {
    auto* stream = static_cast<Stream*>(handle->data);
    if (!stream) {
      *out = uv_buf_init(nullptr, 0);
      return;
    }
    *out = stream->loop_.read_buffer();
  }

  static void read(uv_stream_t* handle, ssize_t n, const uv_buf_t* buffer) {
    auto* stream = static_cast<Stream*>(handle->data);
    if (!stream || n == 0) return;
    Entry entry(stream->loop_);
    if (n < 0) {
      stream->read_failed(static_cast<int>(n));
      return;
    }
    if (stream->tls_) {
      stream->take_wire({buffer->base, static_cast<std::size_t>(n)});
      return;
    }
    stream->owner_.on_bytes({buffer->base, static_cast<std::size_t>(n)});
  }

  static void written(uv_write_t* request, int status) {
    const std::unique_ptr<QueuedWrite> write(reinterpret_cast<QueuedWrite*>(request));
    auto* stream = static_cast<Stream*>(request->handle->data);
    if (!stream) return;
    Entry entry(stream->loop_);
    stream->gauge_sub(stream->in_write_);
    stream->in_write_ = 0;
    stream->writing_ = false;
    if (status < 0) {
      stream->owner_.on_deaf(status);
      return;
    }
    if (stream->hold_ == Stream::Hold::Handshake) return;  // what waits is not encrypted yet
    if (!stream->pending_.empty()) {
      stream->start_write();
      return;
    }
    if (stream->after_sent_ == Stream::AfterSent::Close) {
      stream->close();
      return;
    }
    if (stream->after_sent_ == Stream::AfterSent::Shutdown) stream->shutdown_when_sent();
    stream->owner_.on_room();
  }

  static void shut(uv_shutdown_t* request, int) { delete request; }
};

bool Stream::init() {
  auto* handle = new uv_tcp_t;
  if (uv_tcp_init(loop_.uv(), handle) != 0) {
    delete handle;
    return false;
  }
  handle->data = this;
  handle_.reset(handle);
  return true;
}

void Stream::expect_connect() {
  assert(!open());
  hold_ = Hold::Connect;
}

bool Stream::accept(uv_stream_t* listener) {
  if (!init()) return false;
  if (uv_accept(listener, reinterpret_cast<uv_stream_t*>(handle_.get())) != 0) return false;
  uv_tcp_nodelay(handle_.get(), 1);
  return true;
}

bool Stream::connect(const sockaddr* address, Connected done, std::unique_ptr<TlsEngine> tls) {
  struct Connecting {
    uv_connect_t request;
    Connected done;
  };
  assert(hold_ != Hold::Nothing);
  hold_ = Hold::Connect;
  handle_.reset();
  tls_ = std::move(tls);
  if (!init()) return false;
  auto connecting = std::make_unique<Connecting>();
  connecting->done = done;
  const int error = uv_tcp_connect(
      &connecting->request, handle_.get(), address, [](uv_connect_t* request, int status) {
        const std::unique_ptr<Connecting> own(reinterpret_cast<Connecting*>(request));
        auto* stream = static_cast<Stream*>(request->handle->data);
        if (!stream) return;
        Entry entry(stream->loop_);
        stream->on_connected(status, own->done);
      });
  if (error != 0) return false;
  connecting.release();
  return true;
}

void Stream::on_connected(int status, Connected done) {
  if (status != 0) return done(owner_, status);
  uv_tcp_nodelay(handle_.get(), 1);
  uv_tcp_keepalive(handle_.get(), 1, kKeepaliveSeconds);
  if (tls_) {
    if (!begin_handshake(done)) end_handshake(UV_EPROTO);
    return;
  }
  hold_ = Hold::Nothing;
  release();
  done(owner_, 0);
}

void Stream::read_failed(int status) {
  if (securing()) return end_handshake(status);
  read_stop();
  owner_.on_end(status);
}

// What has waited goes out, and what was to follow it is done.
void Stream::release() {
  if (writing_) return;
  if (!pending_.empty()) {
    start_write();
  } else if (after_sent_ == AfterSent::Shutdown) {
    shutdown_when_sent();
  }
}

void Stream::close() {
  if (!open()) return;
  if (tls_) say_goodbye();
  ++life_;
  gauge_sub(unsent());
  in_write_ = 0;
  full_.clear();
  full_bytes_ = 0;
  pending_.clear();
  pending_.shrink_to_fit();
  std::string().swap(copied_);
  gathered_ = 0;
  reading_ = writing_ = false;
  hold_ = Hold::Nothing;
  secured_ = nullptr;
  tls_.reset();
  after_sent_ = AfterSent::Nothing;
  handle_.reset();
}

void Stream::close_when_sent() {
  flush();
  if (tls_) close_notify();
  if (unsent() == 0) {
    close();
  } else {
    after_sent_ = AfterSent::Close;
  }
}

void Stream::shutdown_when_sent() {
  if (!open()) return;
  flush();
  if (tls_) close_notify();
  if (hold_ != Hold::Nothing || unsent() != 0) {
    after_sent_ = AfterSent::Shutdown;
    return;
  }
  after_sent_ = AfterSent::Nothing;
  auto* request = new uv_shutdown_t;
  if (uv_shutdown(request, reinterpret_cast<uv_stream_t*>(handle_.get()), StreamCallbacks::shut) !=
      0) {
    delete request;
  }
}

void Stream::read_start() {
  if (reading_ || !handle_ || securing()) return;
  reading_ = uv_read_start(reinterpret_cast<uv_stream_t*>(handle_.get()), StreamCallbacks::alloc,
                           StreamCallbacks::read) == 0;
}

std::optional<sockaddr_storage> Stream::peer() const {
  sockaddr_storage peer{};
  int size = sizeof peer;
  auto* const address = reinterpret_cast<sockaddr*>(&peer);
  if (!handle_ || uv_tcp_getpeername(handle_.get(), address, &size) != 0) return std::nullopt;
  return peer;
}

std::optional<ClientAddress> Stream::peer_address() const {
  const auto found = peer();
  if (!found) return std::nullopt;
  ClientAddress address{};
  if (found->ss_family == AF_INET6) {
    std::memcpy(address.data(), &reinterpret_cast<const sockaddr_in6&>(*found).sin6_addr, 16);
    return address;
  }
  address[10] = address[11] = 0xff;
  std::memcpy(address.data() + 12, &reinterpret_cast<const sockaddr_in&>(*found).sin_addr, 4);
  return address;
}

std::string Stream::peer_name() const {
  auto found = peer();
  if (!found) return {};
  sockaddr_storage& peer = *found;
  auto* const address = reinterpret_cast<sockaddr*>(&peer);
  char name[INET6_ADDRSTRLEN] = {};
  uv_ip_name(address, name, sizeof name);
  const auto port = peer.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(peer).sin6_port
                                               : reinterpret_cast<sockaddr_in&>(peer).sin_port;
  return std::string(name) + ":" + std::to_string(ntohs(port));
}

void Stream::read_stop() {
  if (!reading_ || securing()) return;  // a handshake reads until it is done
  uv_read_stop(reinterpret_cast<uv_stream_t*>(handle_.get()));
  reading_ = false;
}

void Stream::write(std::string_view view) {
  if (view.empty() || !open()) return;
  if (waits() && !seals()) {
    keep(view);
    return;
  }
  if (gathered_ > 0) {
    uv_buf_t& last = gather_[gathered_ - 1];
    if (last.base + last.len == view.data()) {
      last.len += view.size();
      return;
    }
    if (gathered_ == kGatherMax) {
      flush();
      write(view);
      return;
    }
  }
  gather_[gathered_++] =
      uv_buf_init(const_cast<char*>(view.data()), static_cast<unsigned>(view.size()));
}

void Stream::write_copy(std::string_view bytes) {
  if (bytes.empty() || !open()) return;
  if (gathered_ == kGatherMax || copied_.size() + bytes.size() > kCopiedMax) flush();
  if (waits() && !seals()) return keep(bytes);
  if (bytes.size() > kCopiedMax) {
    write(bytes);
    return flush();
  }
  copied_.reserve(kCopiedMax);  // views into it must stay valid
  const std::size_t at = copied_.size();
  copied_.append(bytes);
  write(std::string_view(copied_).substr(at));
}

// Of a socket the kernel asks less in send() than in write(), which is libuv's. An error shows
// itself again in the queued write, whose callback tells the owner: never from here, where the
// owner is in the middle of something.
std::size_t Stream::send_now(uv_buf_t* buffers, unsigned count) {
  const auto* const stream = reinterpret_cast<const uv_stream_t*>(handle_.get());
  uv_os_fd_t fd = -1;
  if (uv_stream_get_write_queue_size(stream) != 0) return 0;  // of a handshake
  if (uv_fileno(reinterpret_cast<const uv_handle_t*>(stream), &fd) != 0) return 0;
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  ssize_t sent = 0;
  if (count == 1) {
    sent = send(fd, buffers->base, buffers->len, kFlags);
  } else {
    msghdr message{};
    message.msg_iov = reinterpret_cast<iovec*>(buffers);  // as uv_buf_t is declared to be
    message.msg_iovlen = count;
    sent = sendmsg(fd, &message, kFlags);
  }
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

void Stream::flush_gathered() {
  if (tls_) return flush_tls();
  const unsigned count = std::exchange(gathered_, 0);
  std::size_t done = send_now(gather_, count);
  for (unsigned i = 0; i < count; ++i) {
    const std::string_view bytes(gather_[i].base, gather_[i].len);
    const std::size_t skip = done < bytes.size() ? done : bytes.size();
    done -= skip;
    if (skip < bytes.size()) keep(bytes.substr(skip));
  }
  copied_.clear();
  if (!pending_.empty()) start_write();
}

void Stream::keep(std::string_view bytes) {
  if (pending_.size() >= kPiece) {
    full_bytes_ += pending_.size();
    full_.push_back(std::move(pending_));
    pending_.clear();
  }
  pending_.append(bytes);
  gauge_add(bytes.size());
}

void Stream::start_write() {
  assert(!writing_ && !pending_.empty());
  auto* write = new QueuedWrite;
  if (full_.empty()) {
    write->bytes = std::exchange(pending_, std::string());
  } else {
    write->bytes = std::move(full_.front());
    full_.erase(full_.begin());
    full_bytes_ -= write->bytes.size();
  }
  in_write_ = write->bytes.size();
  writing_ = true;
  uv_buf_t buffer = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
  const int error = uv_write(&write->request, reinterpret_cast<uv_stream_t*>(handle_.get()),
                             &buffer, 1, StreamCallbacks::written);
  assert(error == 0);  // fails only for a handle that is not open
  static_cast<void>(error);
}

}  // namespace crossfade
