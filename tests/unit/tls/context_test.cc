// What is read of certificates, and what stays when that goes wrong.
#include "tls/context.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/unit/tls/authority.h"

using namespace crossfade;
using test::Authority;
using test::Issued;

namespace {

// A file that is gone with it.
class File {
 public:
  File() {
    char name[] = "/tmp/crossfade-tls-XXXXXX";
    const int made = mkstemp(name);
    REQUIRE(made >= 0);
    path_ = name;
  }
  ~File() { std::remove(path_.c_str()); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  const std::string& path() const { return path_; }
  void write(const std::string& text) const {
    std::FILE* const file = std::fopen(path_.c_str(), "wb");
    REQUIRE(file != nullptr);
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
  }

 private:
  std::string path_;
};

std::string complaint(TlsServerSettings settings) {
  const auto loaded = std::make_shared<TlsServer>(std::move(settings))->load();
  return loaded ? "" : loaded.error().message();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("tls server: what is wrong with its certificate is named, and never quoted") {
  const Authority authority("ca");
  const Issued one = authority.issue("DNS:one");
  const Issued other = authority.issue("DNS:other");
  CHECK(complaint({.server_cert = one.cert, .server_key = one.key}).empty());
  CHECK(contains(complaint({.server_cert = "/nowhere/x.pem", .server_key = one.key}),
                 "server_cert: can not read /nowhere/x.pem: No such file"));
  CHECK(contains(complaint({.server_cert = one.cert, .server_key = other.key}),
                 "server_key: is not the key of the certificate"));
  CHECK(contains(complaint({.server_cert = one.key, .server_key = one.key}),
                 "server_cert: holds no certificate"));
  CHECK(contains(complaint({.server_cert = one.cert, .server_key = one.cert}),
                 "server_key: holds no private key"));
  const std::string half = one.cert.substr(0, one.cert.size() / 2);
  CHECK(contains(complaint({.server_cert = half, .server_key = one.key}), "server_cert: "));
  const std::string begin = "-----BEGIN ";
  const std::string encrypted = begin +
                                "ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED "
                                "PRIVATE KEY-----\n";
  CHECK(contains(complaint({.server_cert = one.cert, .server_key = encrypted}),
                 "server_key: is encrypted"));
  CHECK(contains(
      complaint(
          {.server_cert = one.cert, .server_key = one.key, .client_ca_cert = "/nowhere/ca.pem"}),
      "client_ca_cert: can not read"));
}

TEST_CASE("tls server: a bad new file leaves the former certificate in use") {
  const Authority authority("ca");
  const Issued one = authority.issue("DNS:one");
  const File cert;
  const File key;
  cert.write(one.cert);
  key.write(one.key);
  const auto server = std::make_shared<TlsServer>(
      TlsServerSettings{.server_cert = cert.path(), .server_key = key.path()});
  CHECK_FALSE(server->begin());
  CHECK(*server->load() == TlsLoad::New);
  CHECK(*server->load() == TlsLoad::AsBefore);
  cert.write("not a certificate");
  CHECK_FALSE(server->load());
  CHECK(server->begin());
  const Issued next = authority.issue("DNS:one");
  cert.write(next.cert);
  key.write(next.key);
  CHECK(*server->load() == TlsLoad::New);
}

TEST_CASE("tls client: what could not be loaded is the reason why nothing begins") {
  const auto client = std::make_shared<TlsClient>(
      TlsClientSettings{.mode = TlsMode::VerifyFull, .ca_cert = "/nowhere/ca.pem"});
  const auto loaded = client->load();
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().doing == "ca_cert");
  const auto begun = client->begin("localhost");
  REQUIRE_FALSE(begun);
  CHECK(contains(begun.error().reason, "can not read /nowhere/ca.pem"));
}
