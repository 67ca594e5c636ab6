// A blocking connection that speaks the frame of PostgreSQL's messages, in clear or over TLS.
//
// For the probe only: one connection, one thread, and the process ends when anything goes wrong.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace crossfade::scram_probe {

[[noreturn]] void fail(const std::string& reason);

// The peer has gone: what that means depends on when.
struct Message {
  char type = '\0';  // NUL: the connection ended
  std::string body;
};

std::string big_endian(std::uint32_t number);
std::uint32_t read_number(std::string_view bytes);  // of the first four

class Wire {
 public:
  static Wire to(int port);  // connects to 127.0.0.1
  static Wire of(int fd);    // takes over an accepted connection
  void start_tls_client();   // asks the server for it, and ends if that has none
  void start_tls_server(const std::string& certificate, const std::string& key);
  std::string peer_certificate() const;  // DER; empty without TLS

  void send(std::string_view bytes);
  void send(char type, std::string_view body);
  Message receive();               // a message with a type byte
  std::string receive_start_up();  // body of one without; empty if the connection ended

 private:
  bool read(char* to, std::size_t size);
  void take(SSL_CTX* context);  // the TLS of this connection keeps it alive

  int fd_ = -1;
  struct FreeTls {
    void operator()(SSL* tls) const { SSL_free(tls); }
  };
  std::unique_ptr<SSL, FreeTls> tls_;
};

}  // namespace crossfade::scram_probe
