// The probe's connection. What it opens is closed by the end of the process.
#include "tests/integration/scram_probe/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace crossfade::scram_probe {
namespace {

constexpr std::uint32_t kSslRequest = 80877103;
constexpr std::uint32_t kBodyMax = 1 << 20;

}  // namespace

void fail(const std::string& reason) {
  std::printf("probe: %s\n", reason.c_str());
  std::fflush(stdout);
  std::_Exit(2);
}

std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<char>(number >> shift & 255));
  return bytes;
}

std::uint32_t read_number(std::string_view bytes) {
  if (bytes.size() < 4) fail("four bytes expected");
  std::uint32_t number = 0;
  for (const char c : bytes.substr(0, 4)) number = number << 8 | static_cast<unsigned char>(c);
  return number;
}

Wire Wire::to(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Wire wire = of(socket(AF_INET, SOCK_STREAM, 0));
  if (connect(wire.fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    fail("no connection");
  }
  return wire;
}

Wire Wire::of(int fd) {
  std::signal(SIGPIPE, SIG_IGN);
  Wire wire;
  wire.fd_ = fd;
  return wire;
}

void Wire::start_tls_client() {
  send(big_endian(8) + big_endian(kSslRequest));
  char answer = '\0';
  if (!read(&answer, 1) || answer != 'S') fail("the server has no TLS");
  take(SSL_CTX_new(TLS_client_method()));
  if (SSL_connect(tls_.get()) != 1) fail("no TLS");
}

void Wire::start_tls_server(const std::string& certificate, const std::string& key) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_file(context, certificate.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    fail("the certificate can not be used");
  }
  take(context);
  send("S");
  if (SSL_accept(tls_.get()) != 1) fail("no TLS");
}

void Wire::take(SSL_CTX* context) {
  tls_.reset(SSL_new(context));
  SSL_CTX_free(context);
  if (SSL_set_fd(tls_.get(), fd_) != 1) fail("no TLS");
}

std::string Wire::peer_certificate() const {
  X509* const certificate = tls_ != nullptr ? SSL_get1_peer_certificate(tls_.get()) : nullptr;
  if (certificate == nullptr) return {};
  std::string der(static_cast<std::size_t>(i2d_X509(certificate, nullptr)), '\0');
  auto* at = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(certificate, &at);
  X509_free(certificate);
  return der;
}

void Wire::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const bool plain = tls_ == nullptr || bytes == "S";
    const auto sent = plain ? write(fd_, bytes.data(), bytes.size())
                            : SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (sent <= 0) return;  // the next read tells
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void Wire::send(char type, std::string_view body) {
  std::string bytes(1, type);
  send(bytes.append(big_endian(static_cast<std::uint32_t>(body.size() + 4))).append(body));
}

bool Wire::read(char* to, std::size_t size) {
  while (size > 0) {
    const auto got =
        tls_ == nullptr ? ::read(fd_, to, size) : SSL_read(tls_.get(), to, static_cast<int>(size));
    if (got <= 0) return false;
    to += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

Message Wire::receive() {
  Message message;
  if (!read(&message.type, 1)) return {};
  message.body = receive_start_up();
  return message;
}

std::string Wire::receive_start_up() {
  std::string length(4, '\0');
  if (!read(length.data(), length.size())) return {};
  const std::uint32_t size = read_number(length);
  if (size < 4 || size > kBodyMax) fail("a message of no sane length");
  std::string body(size - 4, '\0');
  if (!read(body.data(), body.size())) fail("a message without its end");
  return body;
}

}  // namespace crossfade::scram_probe
