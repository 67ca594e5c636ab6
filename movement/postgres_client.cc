// Connecting and asking by libpq, which is polled.
#include "movement/postgres_client.h"

#include <libpq-fe.h>
#include <netdb.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "tls/settings.h"

namespace crossfade {

void FreePostgres::operator()(pg_conn* connection) const noexcept { PQfinish(connection); }
void FreePostgres::operator()(pg_result* result) const noexcept { PQclear(result); }

namespace {

Error failed(Errc code, const EndpointAddress& address, std::string reason) {
  return {code, "reach endpoint '" + address.id + "'", std::move(reason)};
}

// The first line of what libpq says, which names no password.
std::string first_line(const char* text) {
  const std::string all = text;
  return all.substr(0, all.find('\n'));
}

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

bool wait(PGconn* connection, short events, Deadline end, const std::stop_token& stop) {
  return wait_for(PQsocket(connection), events, end, stop) == Waited::Ready;
}

}  // namespace

PostgresParameters::PostgresParameters(const EndpointAddress& address, std::uint32_t timeout_ms) {
  add("host", address.host);
  add("port", std::to_string(address.port));
  add("user", address.username.empty() ? std::string("crossfade") : address.username);
  if (!address.password.empty()) add("password", address.password);
  add("dbname", address.database.empty() ? std::string("postgres") : address.database);
  add("application_name", "crossfade");
  add("gssencmode", "disable");
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

Result<PostgresConnection> log_in(const EndpointAddress& address,
                                  const PostgresParameters& parameters, Deadline end,
                                  const std::stop_token& stop) {
  PostgresConnection connection(
      PQconnectStartParams(parameters.names().data(), parameters.values().data(), 0));
  if (!connection) return failed(Errc::System, address, "out of memory");
  for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;
       next = PQconnectPoll(connection.get())) {
    if (next == PGRES_POLLING_FAILED || PQstatus(connection.get()) == CONNECTION_BAD) {
      const bool answered = PQserverVersion(connection.get()) != 0 ||
                            PQconnectionNeedsPassword(connection.get()) != 0 ||
                            PQconnectionUsedPassword(connection.get()) != 0;
      return failed(answered ? Errc::BadConfig : Errc::Unavailable, address,
                    first_line(PQerrorMessage(connection.get())));
    }
    const short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait(connection.get(), events, end, stop)) {
      return failed(Errc::Unavailable, address, "no answer in time");
    }
  }
  return connection;
}

Result<PostgresRows> ask(pg_conn* connection, const EndpointAddress& address, const char* sql,
                         const std::vector<std::string>& values, Deadline end,
                         const std::stop_token& stop) {
  std::vector<const char*> pointers;
  for (const std::string& value : values) pointers.push_back(value.c_str());
  if (PQsendQueryParams(connection, sql, static_cast<int>(pointers.size()), nullptr,
                        pointers.data(), nullptr, nullptr, 0) != 1) {
    return failed(Errc::Unavailable, address, first_line(PQerrorMessage(connection)));
  }
  PostgresRows last;
  for (;;) {
    while (PQisBusy(connection) != 0) {
      if (!wait(connection, POLLIN, end, stop)) {
        return failed(Errc::Unavailable, address, "no answer in time");
      }
      if (PQconsumeInput(connection) != 1) {
        return failed(Errc::Unavailable, address, first_line(PQerrorMessage(connection)));
      }
    }
    PostgresRows next(PQgetResult(connection));
    if (!next) break;
    last = std::move(next);
  }
  if (last && PQresultStatus(last.get()) == PGRES_TUPLES_OK) return last;
  const bool lost = PQstatus(connection) == CONNECTION_BAD;
  return failed(lost ? Errc::Unavailable : Errc::BadInput, address,
                first_line(PQerrorMessage(connection)));
}

}  // namespace crossfade
