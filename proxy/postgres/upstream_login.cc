// Between LoginClient, which knows bodies, and messages with headers.
#include "proxy/postgres/upstream_login.h"

#include <utility>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/scram_message.h"
#include "protocols/postgres/types.h"
#include "tls/random.h"

namespace crossfade::postgres {

std::string entry_parameters(std::string_view of_client, std::string_view user) {
  std::string parameters;
  std::string_view database;
  // Who names no database means the one of its own name.
  if (!user.empty() && find_parameter(of_client, "database").value_or("") == "") {
    database = find_parameter(of_client, "user").value_or("");
  }
  if (!user.empty()) append_parameter(parameters, "user", user);
  if (!database.empty()) append_parameter(parameters, "database", database);
  while (const auto one = next_parameter(of_client)) {
    if (is_protocol_option(one->name)) continue;
    if (!user.empty() && one->name == "user") continue;
    if (!database.empty() && one->name == "database") continue;
    append_parameter(parameters, one->name, one->value);
  }
  return parameters;
}

UpstreamLogin::UpstreamLogin(Entry entry, std::string endpoint, KnownKeys& known)
    : entry_(std::move(entry)), endpoint_(std::move(endpoint)), known_(known) {}

std::string UpstreamLogin::begin(LoginWire wire) {
  Credentials credentials = entry_.credentials;
  if (auto* const password = std::get_if<Password>(&credentials)) {
    password->known = known_.find(endpoint_, entry_.user, password->text);
  }
  client_.emplace(LoginSetup{.user = entry_.user,
                             .credentials = std::move(credentials),
                             .cleartext = wire.cleartext,
                             .nonce = nonce_of(random_bytes(kNonceBytes)),
                             .certificate_hash = std::move(wire.certificate_hash)});
  std::string packet;
  append_start_up(packet, entry_.version, entry_.parameters);
  return packet;
}

UpstreamLogin::Step UpstreamLogin::advance(const Piece& message) {
  switch (message.type) {
    case from_server::kAuthentication:
      return on_authentication(message);
    case from_server::kErrorResponse:
      return on_error(message);
    case from_server::kParameterStatus:
    case from_server::kBackendKeyData:
    case from_server::kNoticeResponse:
    case from_server::kNegotiateProtocolVersion:
      return Wait{};
    case from_server::kReadyForQuery:
      if (authenticated_) return Entered{};
      break;
    default:
      break;
  }
  return fail("it sent what belongs to no login");
}

UpstreamLogin::Step UpstreamLogin::on_authentication(const Piece& message) {
  const auto asked = view_authentication(message.body());
  if (!asked) return fail("it sent what belongs to no login");
  LoginStep step = client_->advance(static_cast<std::uint32_t>(asked->kind), asked->data);
  if (auto* const reply = std::get_if<LoginReply>(&step)) {
    Send send;
    append_sasl_response(send.bytes, reply->body);  // any 'p' message: the body is all of it
    return send;
  }
  if (auto* const error = std::get_if<Error>(&step)) return std::move(*error);
  if (std::holds_alternative<LoginGoesOn>(step)) return Wait{};
  authenticated_ = true;
  const auto* const password = std::get_if<Password>(&entry_.credentials);
  if (password && client_->keys()) {
    known_.remember(endpoint_, entry_.user, password->text, *client_->keys());
  }
  return Authenticated{};
}

UpstreamLogin::Step UpstreamLogin::on_error(const Piece& message) const {
  const auto report = view_report(message.body());
  if (!report) return fail("it refused without a reason");
  return fail("it said \"" + std::string(report->message) + "\" (" + std::string(report->sqlstate) +
              ")");
}

UpstreamLogin::Step UpstreamLogin::fail(std::string reason) const {
  return Error{Errc::BadInput, "log in as \"" + entry_.user + "\"", std::move(reason)};
}

}  // namespace crossfade::postgres
