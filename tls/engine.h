// One TLS connection as bytes: what came from the wire goes in, what is to be sent there comes out,
// plain text on the other side. In either role; it may begin on a connection that has been used.
//
// It has no socket: who owns one hands over what was read and sends what was appended to `wire`,
// in that order. Nothing of the wire is copied before it is decrypted, and nothing is kept but a
// record that has not come whole.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tls/context.h"

namespace crossfade {

class TlsEngine {
 public:
  enum class Role : std::uint8_t { Client, Server };

  TlsEngine(TlsHandle handle, Role role);
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;

  // Bytes from the wire; they stay valid until read() or, before the handshake is done,
  // handshake() has returned.
  void take(std::string_view wire) { wire_in_ = wire; }

  // Goes on with the handshake: a client calls it once before there is anything to take. `wire`
  // has an alert to send after a failure, too.
  enum class Step : std::uint8_t { Going, Done, Failed };
  Step handshake(std::string& wire);

  // What stands behind the plain text that was read.
  enum class After : std::uint8_t {
    More,    // nothing: the wire goes on
    Closed,  // the other end has said that it sends no more
    Failed   // an alert, or no TLS: why() has the words
  };
  struct Read {
    std::size_t size;
    After after;
  };
  // Decrypts all that was taken. `plain` has room for that and one record more (kTlsRecordRoom).
  Read read(std::span<char> plain, std::string& wire);

  // Encrypts; false once the connection has failed or was closed from here.
  bool write(std::string_view plain, std::string& wire);

  // Says that nothing more will be sent; once.
  void close_notify(std::string& wire);

  // Of a failure, for people; no secrets.
  const std::string& why() const { return why_; }

  // After the handshake.
  bool resumed() const;
  std::string_view alpn() const;  // what was agreed; empty: nothing
  // The hash of the server's certificate, ours or the other's, that SCRAM binds to; empty where
  // there is none.
  //   source  RFC 5929, 4.1: MD5 and SHA-1 count as SHA-256
  std::string end_point() const;

 private:
  friend struct TlsEngineWire;
  void begin_call(std::string& wire);

  TlsHandle handle_;
  std::string_view wire_in_;
  std::string* wire_out_ = nullptr;  // during a call
  std::string why_;
  Role role_;
};

// A whole record's plain text, which may have been waiting for its last byte.
inline constexpr std::size_t kTlsRecordRoom = 17 * 1024;

}  // namespace crossfade
