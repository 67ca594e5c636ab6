// A socket whose request must be here `limit` after it came, in so many bytes, however slowly they
// come, and whose response must be gone `limit` after its first byte. Over TLS or without.
//
// Where others want its thread it may be given up earlier: not before it has had it for kPatience,
// and never while there is something to read.
//
// Knows nothing of HTTP. Owns no descriptor.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tls/context.h"
#include "tls/socket.h"

namespace crossfade {

class BoundedSocket {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr auto kPatience = std::chrono::milliseconds(250);

  BoundedSocket(int socket, Clock::time_point came, Clock::duration limit, std::size_t bytes_max,
                std::function<bool()> gives_way)
      : socket_(socket),
        gives_way_(std::move(gives_way)),
        limit_(limit),
        patient_until_(Clock::now() + kPatience),
        read_until_(came + limit),
        bytes_left_(bytes_max) {}

  // Begins TLS, which has the time of the request; false when that fails.
  bool secure(TlsHandle handle);

  // Waits for it, no longer than there is time.
  bool is_readable() const;
  bool is_writable() const;
  // Bytes; 0 at the end, -1 for a failure.
  ssize_t read(char* into, std::size_t size);
  ssize_t write(std::string_view bytes);

  // What is written next has the time of a reply of its own.
  void begin_piece() { write_until_.reset(); }
  // False when the client has closed the connection. It sends nothing more, so what is readable is
  // its end.
  bool has_peer() const;
  // The address of the client as text, "127.0.0.1"; empty when it is not known any more.
  std::string peer() const;
  // Nothing more will be written.
  void finish();

  int descriptor() const { return socket_; }

 private:
  ssize_t receive(std::size_t most);
  template <class Step>
  ssize_t until_done(Step&& step, Clock::time_point until);
  bool wait(short events, Clock::time_point until) const;

  bool is_given_up() const { return Clock::now() >= patient_until_ && gives_way_(); }

  const int socket_;
  const std::function<bool()> gives_way_;
  std::optional<TlsSocket> tls_;
  const Clock::duration limit_;
  const Clock::time_point patient_until_;
  const Clock::time_point read_until_;
  std::optional<Clock::time_point> write_until_;
  std::size_t bytes_left_;
  std::array<char, 4096> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace crossfade
