// From our settings to libpq's words.
#include "movement/postgres_parameters.h"

#include <netdb.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "tls/settings.h"

namespace crossfade {

namespace {

// The first address of a host; empty: it has none. libpq needs one where a certificate is for
// another name than the host's.
std::string numeric_address(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
  std::array<char, NI_MAXHOST> text{};
  const int named = getnameinfo(found->ai_addr, found->ai_addrlen, text.data(), text.size(),
                                nullptr, 0, NI_NUMERICHOST);
  freeaddrinfo(found);
  return named == 0 ? text.data() : std::string();
}

bool verifies(TlsMode mode) { return mode == TlsMode::VerifyCa || mode == TlsMode::VerifyFull; }

}  // namespace

PostgresParameters::PostgresParameters(const EndpointAddress& address, const std::string& database,
                                       std::uint32_t timeout_ms) {
  const std::string& wanted = database.empty() ? address.database : database;
  add("host", address.host);
  add("port", std::to_string(address.port));
  add("user", address.username.empty() ? std::string("crossfade") : address.username);
  if (!address.password.empty()) add("password", address.password);
  add("dbname", wanted.empty() ? std::string("postgres") : wanted);
  add("application_name", "crossfade");
  add("gssencmode", "disable");
  add("client_encoding", "UTF8");
  add("connect_timeout", std::to_string(timeout_ms / 1000 + 1));
  add_tls(address);
}

PostgresParameters::~PostgresParameters() {
  for (const int text : texts_) ::close(text);
}

void PostgresParameters::add(const char* name, std::string value) {
  names_.emplace_back(name);
  values_.push_back(std::move(value));
}

// Files of the home folder, which libpq looks for by itself, are nothing that an endpoint names.
void PostgresParameters::add_tls(const EndpointAddress& address) {
  const TlsClientSettings& tls = address.tls.settings;
  add("sslmode", name_of(tls.mode));
  if (tls.mode == TlsMode::Disable) return;
  if (!tls.ca_cert.empty()) {
    add_pem("sslrootcert", tls.ca_cert);
  } else if (verifies(tls.mode)) {
    add("sslrootcert", X509_get_default_cert_file());
  } else {
    add("sslrootcert", "/nonexistent");
  }
  add("sslcert", "/nonexistent");
  if (!tls.cert.empty()) add_pem("sslcert", tls.cert);
  if (!tls.key.empty()) add_pem("sslkey", tls.key);
  if (!tls.domain.empty()) {
    if (auto numeric = numeric_address(address.host); !numeric.empty()) {
      add("hostaddr", std::move(numeric));
    }
    values_.front() = tls.domain;
  }
}

void PostgresParameters::add_pem(const char* name, const std::string& source) {
  if (!is_pem_text(source)) return add(name, source);
  const int text = memfd_create("crossfade", MFD_CLOEXEC);
  if (text < 0) return;
  texts_.push_back(text);
  // libpq takes no key that others may read.
  if (fchmod(text, S_IRUSR | S_IWUSR) != 0) return;
  if (::write(text, source.data(), source.size()) < 0) return;
  add(name, "/proc/self/fd/" + std::to_string(text));
}

std::vector<const char*> PostgresParameters::pointers(const std::vector<std::string>& texts) {
  std::vector<const char*> all;
  for (const std::string& text : texts) all.push_back(text.c_str());
  all.push_back(nullptr);
  return all;
}

}  // namespace crossfade
