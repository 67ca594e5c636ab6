// OpenSSL on a descriptor.
#include "tls/socket.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <system_error>

#include "tls/words.h"

namespace crossfade {

TlsSocket::TlsSocket(TlsHandle handle, int socket, Role role) : handle_(std::move(handle)) {
  SSL_set_fd(handle_.ssl.get(), socket);
  if (role == Role::Client) {
    SSL_set_connect_state(handle_.ssl.get());
  } else {
    SSL_set_accept_state(handle_.ssl.get());
  }
}

TlsSocket::Step TlsSocket::step_of(int result, std::size_t size) {
  if (result == 1) return {Outcome::Some, size};
  const int number = errno;
  switch (SSL_get_error(handle_.ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {Outcome::AwaitsRead};
    case SSL_ERROR_WANT_WRITE:
      return {Outcome::AwaitsWrite};
    case SSL_ERROR_ZERO_RETURN:
      return {Outcome::Closed};
    case SSL_ERROR_SYSCALL:
      ERR_clear_error();
      why_ = number != 0 ? std::generic_category().message(number) : "the connection is lost";
      return {Outcome::Failed};
    default:
      why_ = tls_words(handle_.ssl.get(), "the connection is broken");
      return {Outcome::Failed};
  }
}

TlsSocket::Step TlsSocket::handshake() {
  ERR_clear_error();
  const Step step = step_of(SSL_do_handshake(handle_.ssl.get()), 0);
  if (step.outcome != Outcome::Closed) return step;
  why_ = "the connection was closed during the handshake";
  return {Outcome::Failed};
}

TlsSocket::Step TlsSocket::read(char* into, std::size_t size) {
  ERR_clear_error();
  std::size_t got = 0;
  const int result = SSL_read_ex(handle_.ssl.get(), into, size, &got);
  return step_of(result, got);
}

TlsSocket::Step TlsSocket::write(std::string_view bytes) {
  ERR_clear_error();
  std::size_t put = 0;
  const int result = SSL_write_ex(handle_.ssl.get(), bytes.data(), bytes.size(), &put);
  return step_of(result, put);
}

TlsSocket::Step TlsSocket::look() {
  ERR_clear_error();
  char byte = 0;
  std::size_t got = 0;
  const int result = SSL_peek_ex(handle_.ssl.get(), &byte, 1, &got);
  return step_of(result, got);
}

void TlsSocket::close_notify() {
  if (SSL_is_init_finished(handle_.ssl.get()) == 1) SSL_shutdown(handle_.ssl.get());
  ERR_clear_error();
}

}  // namespace crossfade
