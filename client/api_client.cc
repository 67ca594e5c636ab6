// HTTP by cpp-httplib.
#include "client/api_client.h"

#include <httplib.h>

#include "control/json/parse.h"
#include "control/json/write.h"

namespace crossfade {

namespace {

constexpr const char* kBase = "/api/v1";

std::string why_of(httplib::Error error) {
  using enum httplib::Error;
  if (error == Connection || error == ConnectionTimeout) {
    return "no connection: is the sidecar running, and is this its control address?";
  }
  if (error == Read || error == Write) {
    return "no answer within the time limit (--timeout), or the connection broke";
  }
  if (error == SSLConnection || error == SSLLoadingCerts) {
    return "TLS failed: is the control port one of https, and can the file of --ca-cert be read?";
  }
  if (error == SSLServerVerification) {
    return "the server's certificate is not to be trusted: --ca-cert names who signed it";
  }
  return httplib::to_string(error);
}

bool is_url_of_ours(const std::string& url) {
  for (const char* scheme : {"http://", "https://"}) {
    const std::string_view name = scheme;
    if (url.compare(0, name.size(), name) == 0 && url.size() > name.size() &&
        url.find_first_of("/?#@ ", name.size()) == url.npos) {
      return true;
    }
  }
  return false;
}

httplib::Result send(httplib::Client& client, const ApiCall& what) {
  httplib::Headers headers;
  if (!what.if_match.empty()) headers.emplace("If-Match", what.if_match);
  const std::string path = kBase + what.path;
  const std::string body = what.body.is_null() ? "" : to_text(what.body);
  if (what.method == "GET") return client.Get(path, headers);
  if (what.method == "DELETE") return client.Delete(path, headers);
  if (what.method == "PATCH") return client.Patch(path, headers, body, "application/json");
  return client.Post(path, headers, body, "application/json");
}

}  // namespace

struct ApiClient::Parts {
  explicit Parts(const SidecarAddress& address) : url(address.url), client(address.url) {
    client.set_connection_timeout(address.timeout_s);
    client.set_read_timeout(address.timeout_s);
    client.set_write_timeout(address.timeout_s);
    client.set_keep_alive(true);
    client.set_tcp_nodelay(true);
    if (!address.token.empty()) client.set_bearer_token_auth(address.token);
    if (!address.ca_file.empty()) client.set_ca_cert_path(address.ca_file);
  }

  std::string url;
  httplib::Client client;
};

ApiClient::ApiClient(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ApiClient::~ApiClient() = default;
ApiClient::ApiClient(ApiClient&&) noexcept = default;

std::string ApiAnswer::message() const {
  const Json* message = body.find("message");
  if (message != nullptr && message->string() != nullptr) return *message->string();
  return "HTTP status " + std::to_string(status);
}

Result<ApiClient> ApiClient::open(const SidecarAddress& address) {
  if (!is_url_of_ours(address.url)) {
    return Error{Errc::BadInput, "--server", "expected http://HOST:PORT or https://HOST:PORT"};
  }
  auto parts = std::make_unique<Parts>(address);
  if (!parts->client.is_valid()) {
    return Error{Errc::BadInput, "--server", "is not a URL that can be called"};
  }
  return ApiClient(std::move(parts));
}

Result<ApiAnswer> ApiClient::call(const ApiCall& what) {
  const httplib::Result got = send(parts_->client, what);
  if (!got) return Error{Errc::Unavailable, parts_->url, why_of(got.error())};
  auto body = parse_json(got->body);
  if (!body || body->members() == nullptr) {
    return Error{Errc::Unavailable, parts_->url,
                 "answered HTTP status " + std::to_string(got->status) +
                     " without JSON of ours: is this a sidecar's control port?"};
  }
  return ApiAnswer{
      .status = got->status, .body = std::move(*body), .etag = got->get_header_value("ETag")};
}

}  // namespace crossfade
