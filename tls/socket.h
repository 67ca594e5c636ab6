// TLS on a socket that never blocks, for a thread that waits with poll(2). The socket stays its
// owner's.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "tls/context.h"

namespace crossfade {

class TlsSocket {
 public:
  enum class Role : std::uint8_t { Client, Server };
  TlsSocket(TlsHandle handle, int socket, Role role);

  // What a step came to: some bytes, or what to wait for before it is taken again.
  enum class Outcome : std::uint8_t { Some, AwaitsRead, AwaitsWrite, Closed, Failed };
  struct Step {
    Outcome outcome;
    std::size_t size = 0;  // Some: of the bytes read or written
  };

  Step handshake();  // Some, with size 0: it is done
  Step read(char* into, std::size_t size);
  // After AwaitsRead or AwaitsWrite it wants the same bytes again, wherever they lie.
  Step write(std::string_view bytes);
  // Is anything to be read, or the end? Takes nothing away.
  Step look();
  // Says that nothing more will be sent, if that can be said at once.
  void close_notify();

  // Of a failure, for people; no secrets.
  const std::string& why() const { return why_; }

 private:
  Step step_of(int result, std::size_t size);

  TlsHandle handle_;
  std::string why_;
};

}  // namespace crossfade
