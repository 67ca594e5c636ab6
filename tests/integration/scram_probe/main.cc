// Logs in to a real server as the sidecar will, or is the server that a real client logs in to.
//
//   scram_probe login PORT USER [--tls] [--cleartext] SECRET    one line of how it ended:
//     SECRET: none | password TEXT | keys HEX… | md5 VERIFIER   "in KEYS" | "refused SQLSTATE TEXT"
//   scram_probe serve VERIFIER|mock [CERTIFICATE KEY]           | "failed REASON"
//     prints its port, then one line a login: "in KEYS" or "refused"; ends when its input ends
//   scram_probe exchange [CERTIFICATE] HEX…                     what our server says to these
//   bodies,
//     with a fixed user, verifier and nonce: one line each
//
// KEYS is "salt:iterations:client key:server key", all but the number in hexadecimal, "-" without
// SCRAM. Nothing is secret here. tests/integration/scram_test.py starts it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <span>
#include <vector>

#include "protocols/postgres/channel_binding.h"
#include "protocols/postgres/login_client.h"
#include "protocols/postgres/scram_message.h"
#include "protocols/postgres/scram_server.h"
#include "tests/integration/scram_probe/wire.h"

namespace crossfade::scram_probe {
namespace {

using namespace crossfade::postgres;
using Words = std::span<const std::string>;

constexpr std::uint32_t kProtocol = 3 << 16;
constexpr std::uint32_t kSslRequest = 80877103;
constexpr std::uint32_t kGssRequest = 80877104;

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(c));
    text += digits;
  }
  return text;
}

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    const std::string digits(text.substr(at, 2));
    bytes.push_back(static_cast<char>(std::strtol(digits.c_str(), nullptr, 16)));
  }
  return bytes;
}

std::string text_of(const ScramKeys* keys) {
  if (keys == nullptr) return "-";
  return hex(keys->salt) + ":" + std::to_string(keys->iterations) + ":" +
         hex(view_of(keys->client_key)) + ":" + hex(view_of(keys->server_key));
}

ScramKey key_of(const std::string& text) {
  const std::string bytes = from_hex(text);
  ScramKey key;
  if (bytes.size() != key.size()) fail("a key has 32 bytes");
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

ScramKeys keys_of(std::string text) {
  std::vector<std::string> parts(1);
  for (const char c : text) c == ':' ? parts.emplace_back() : parts.back() += std::string(1, c);
  if (parts.size() != 4) fail("keys have four parts");
  const auto iterations = static_cast<std::uint32_t>(std::stoul(parts[1]));
  return {from_hex(parts[0]), iterations, key_of(parts[2]), key_of(parts[3])};
}

std::string new_nonce() {
  std::string random(kNonceBytes, '\0');
  RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), static_cast<int>(random.size()));
  return nonce_of(random);
}

Verifier verifier_of_text(const std::string& text) {
  Result<Verifier> verifier = parse_verifier(text);
  if (!verifier) fail(verifier.error().message());
  return std::move(verifier).value();
}

Credentials credentials_of(Words words) {
  if (words.empty() || words[0] == "none") return NoCredentials{};
  if (words.size() != 2) fail("a secret is two words");
  if (words[0] == "password") return Password{words[1], {}};
  if (words[0] == "keys") return keys_of(words[1]);
  return std::get<Md5Verifier>(verifier_of_text(words[1]));
}

// A field of an ErrorResponse.
std::string field(std::string_view body, char name) {
  while (!body.empty() && body.front() != '\0') {
    const std::size_t end = std::min(body.find('\0'), body.size() - 1);
    if (body.front() == name) return std::string(body.substr(1, end - 1));
    body.remove_prefix(end + 1);
  }
  return {};
}

// Until the server is ready for queries, or says no.
std::string converse(Wire& wire, LoginClient& login) {
  while (true) {
    const Message message = wire.receive();
    if (message.type == '\0') return "failed the connection ended";
    if (message.type == 'E') {
      return "refused " + field(message.body, 'C') + " " + field(message.body, 'M');
    }
    if (message.type == 'Z') return "in " + text_of(login.keys());
    if (message.type != 'R') continue;
    const LoginStep step =
        login.advance(read_number(message.body), std::string_view(message.body).substr(4));
    if (const auto* const error = std::get_if<Error>(&step)) return "failed " + error->message();
    if (const auto* const reply = std::get_if<LoginReply>(&step)) wire.send('p', reply->body);
  }
}

void log_in(Words words) {
  if (words.size() < 3) fail("login PORT USER ... SECRET");
  LoginSetup setup;
  setup.user = words[1];
  setup.nonce = new_nonce();
  Wire wire = Wire::to(std::stoi(words[0]));
  words = words.subspan(2);
  for (; words[0].starts_with("--"); words = words.subspan(1)) {
    if (words[0] == "--cleartext") setup.cleartext = Cleartext::Allowed;
    if (words[0] != "--tls") continue;
    wire.start_tls_client();
    setup.certificate_hash = server_end_point(wire.peer_certificate()).value();
  }
  setup.credentials = credentials_of(words);
  std::string body = big_endian(kProtocol);
  body.append("user").push_back('\0');
  body.append(setup.user).push_back('\0');
  body.append("database").push_back('\0');
  body.append("postgres").append(2, '\0');
  wire.send(big_endian(static_cast<std::uint32_t>(body.size() + 4)) + body);
  LoginClient login(std::move(setup));
  std::printf("%s\n", converse(wire, login).c_str());
}

// Serving

struct Served {
  std::string verifier;  // or "mock"
  std::string certificate, key;
};

std::string error_body(const LoginRefusal& refusal) {
  std::string body;
  const auto add = [&body](char name, std::string_view text) {
    if (!text.empty()) body.append(1, name).append(text).push_back('\0');
  };
  add('S', "FATAL");
  add('V', "FATAL");
  add('C', refusal.sqlstate);
  add('M', refusal.message);
  add('D', refusal.detail);
  body.push_back('\0');
  return body;
}

std::string pem_hash(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "r");
  if (file == nullptr) fail("no certificate at " + path);
  unsigned char* der = nullptr;
  char *name = nullptr, *header = nullptr;
  long size = 0;
  if (PEM_read(file, &name, &header, &der, &size) != 1) fail("no PEM");
  const std::string certificate(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  std::fclose(file);
  OPENSSL_free(name);
  OPENSSL_free(header);
  OPENSSL_free(der);
  return server_end_point(certificate).value();
}

ScramLogin scram_login(const std::string& verifier, const std::string& user, std::string hash) {
  ScramLogin login{user, mock_verifier("secret", user), Chance::Doomed, new_nonce(),
                   std::move(hash)};
  if (verifier != "mock") {
    login.verifier = std::get<ScramVerifier>(verifier_of_text(verifier));
    login.chance = Chance::Real;
  }
  return login;
}

// SASL with one client; true if it is in.
bool authenticate(Wire& wire, ScramServer& server) {
  wire.send('R', big_endian(10) + server.mechanisms());
  while (true) {
    const Message message = wire.receive();
    if (message.type != 'p') return false;
    const ScramServer::Step step = server.advance(message.body);
    if (const auto* const challenge = std::get_if<ScramServer::Challenge>(&step)) {
      wire.send('R', big_endian(11) + challenge->data);
    } else if (const auto* const refusal = std::get_if<LoginRefusal>(&step)) {
      wire.send('E', error_body(*refusal));
      std::printf("refused\n");
      return false;
    } else {
      const auto& accepted = std::get<ScramServer::Accepted>(step);
      wire.send('R', big_endian(12) + accepted.data);
      wire.send('R', big_endian(0));
      std::printf("in %s\n", text_of(&accepted.keys).c_str());
      return true;
    }
  }
}

void serve_one(int fd, const Served& served) {
  Wire wire = Wire::of(fd);
  std::string hash;
  std::string start_up = wire.receive_start_up();
  while (start_up.size() == 4) {
    const std::uint32_t code = read_number(start_up);
    if (code == kSslRequest && !served.certificate.empty()) {
      wire.start_tls_server(served.certificate, served.key);
      hash = pem_hash(served.certificate);
    } else if (code == kSslRequest || code == kGssRequest) {
      wire.send("N");
    }
    start_up = wire.receive_start_up();
  }
  if (start_up.empty()) return;
  const std::size_t at = start_up.find("user\0", 0, 5) + 5;
  ScramServer server(scram_login(served.verifier, start_up.c_str() + at, hash));
  if (authenticate(wire, server)) {
    wire.send('Z', "I");
    while (true) {
      const Message message = wire.receive();
      if (message.type != 'Q') break;
      wire.send('I', "");  // EmptyQueryResponse: whatever it was
      wire.send('Z', "I");
    }
  }
}

void serve(Words words) {
  if (words.size() != 1 && words.size() != 3) fail("serve VERIFIER [CERTIFICATE KEY]");
  const Served served{words[0], words.size() == 3 ? words[1] : "",
                      words.size() == 3 ? words[2] : ""};
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener, 9) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    fail("no port");
  }
  std::printf("%d\n", ntohs(address.sin_port));
  while (true) {
    std::fflush(stdout);
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) return;
    serve_one(fd, served);
    std::fflush(stdout);
    close(fd);
  }
}

// One line per body: how our server takes it.
void exchange(Words words) {
  std::string hash;
  if (!words.empty() && words[0].starts_with("/")) {
    hash = pem_hash(words[0]);
    words = words.subspan(1);
  }
  ScramLogin login = scram_login("mock", "ann", hash);
  login.nonce = std::string(24, 'A');  // as long as a real one
  ScramServer server(std::move(login));
  for (const std::string& word : words) {
    const ScramServer::Step step = server.advance(from_hex(word));
    if (const auto* const challenge = std::get_if<ScramServer::Challenge>(&step)) {
      std::printf("challenge %zu\n", challenge->data.size());
      continue;
    }
    const auto& refusal = std::get<LoginRefusal>(step);
    std::printf("refused %s %s|%s\n", refusal.sqlstate, refusal.message.c_str(),
                refusal.detail.c_str());
    return;
  }
}

}  // namespace
}  // namespace crossfade::scram_probe

int main(int argc, char** argv) {
  using namespace crossfade::scram_probe;
  const std::vector<std::string> words(argv + std::min(argc, 2), argv + argc);
  const std::string task = argc > 1 ? argv[1] : "";
  if (task == "login") {
    log_in(words);
  } else if (task == "serve") {
    serve(words);
  } else if (task == "exchange") {
    exchange(words);
  } else {
    fail("login | serve | exchange");
  }
}
