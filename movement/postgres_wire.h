// One connection to a PostgreSQL server in the server's own protocol: connect, log in, say messages
// as they are, read what is answered. For whoever needs the bytes of replies; rows as values are
// libpq's business.
//
// Errors are values without secrets. One thread's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "movement/dial.h"
#include "protocols/base/result.h"
#include "protocols/postgres/message.h"
#include "strategies/ports.h"
#include "tls/socket.h"

namespace crossfade {

class PostgresWire {
 public:
  struct Entry {
    std::string database;    // empty: the endpoint's own, or the one named like its user
    std::string parameters;  // of the start-up packet, beside user and database: name, NUL, value,
                             // NUL, and so on
  };
  using Take = std::function<void(const postgres::Piece&)>;

  // Connects and logs in as the endpoint's user with its password; TLS as the address says, where a
  // password is also given in clear to a server that asks for that. Bounded by timeout_ms, as each
  // later ask() is; ends soon after a stop is requested (dial.h).
  //   errors  Unavailable: not reached, starting up, full, not believed to be that server, or no
  //           answer in time; BadConfig: no user is configured, or the server refused the login
  static Result<PostgresWire> open(const EndpointAddress& address, const Entry& entry,
                                   std::uint32_t timeout_ms, std::stop_token stop = {});
  PostgresWire(PostgresWire&&) = default;
  PostgresWire& operator=(PostgresWire&&) = default;

  // Sends whole messages and hands over all that comes, in pieces, up to the ReadyForQuery of that
  // number. No COPY IN. After an error the connection is of no more use.
  //   bytes_max  of what comes; counted, not kept
  //   errors     Unavailable: the connection is lost, or no answer in time; Overloaded: bytes_max
  Status ask(std::string_view messages, std::size_t turns, std::size_t bytes_max, const Take& take);

 private:
  class Socket {
   public:
    explicit Socket(int number) : number_(number) {}
    ~Socket();
    Socket(Socket&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
      std::swap(number_, other.number_);
      return *this;
    }
    int get() const { return number_; }

   private:
    int number_;  // -1: none
  };
  struct Moved {
    std::size_t size = 0;  // 0: wait
    short awaits = 0;
  };

  PostgresWire(int socket, std::string endpoint, std::uint32_t timeout_ms, std::stop_token stop)
      : socket_(socket),
        endpoint_(std::move(endpoint)),
        timeout_ms_(timeout_ms),
        stop_(std::move(stop)) {}
  Status secure(const EndpointAddress& address);
  Status log_in(const EndpointAddress& address, const Entry& entry);
  Status read_messages(const std::function<bool(const postgres::Piece&)>& take);
  Status write(std::string_view bytes);
  Result<std::size_t> read_some(std::span<char> into);
  Result<Moved> moved(const TlsSocket::Step& step) const;
  Status wait(short events) const;
  Error lost_for(std::string reason) const;

  Socket socket_;
  std::unique_ptr<TlsSocket> tls_;  // null: plain
  std::string endpoint_;            // id, for messages
  std::uint32_t timeout_ms_;
  std::stop_token stop_;
  Deadline ends_{};
  postgres::MessageCutter cutter_{postgres::Stream::ServerLogin};
  std::string held_;  // read, and not cut yet
};

}  // namespace crossfade
