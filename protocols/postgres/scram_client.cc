// The client's side of SCRAM.
#include "protocols/postgres/scram_client.h"

#include <charconv>
#include <utility>

#include "protocols/base/base64.h"
#include "protocols/postgres/scram_message.h"

namespace crossfade::postgres {
namespace {

constexpr const char* kDoing = "log in by SCRAM-SHA-256";

Error bad(std::string reason) { return {Errc::BadInput, kDoing, std::move(reason)}; }

std::string header_of(ChannelBinding binding) {
  switch (binding) {
    case ChannelBinding::None:
      return "n,,";
    case ChannelBinding::Unoffered:
      return "y,,";
    case ChannelBinding::EndPoint:
      return "p=" + std::string(kEndPoint) + ",,";
  }
  return "n,,";
}

// server-first-message. What follows the iterations are extensions, of which RFC 5802 says that
// they are ignored; the server's signature covers them.
struct ServerFirst {
  std::string_view nonce;
  std::string salt;
  std::uint32_t iterations;
};
Result<ServerFirst> read_first(std::string_view message, std::string_view our_nonce) {
  if (front_of(message) == 'm') return bad("the server demands an extension of SCRAM");
  const auto nonce = take_value(message, 'r');
  const auto salt_text = take_value(message, 's');
  const auto digits = take_value(message, 'i');
  if (!nonce || !salt_text || !digits) return bad("the server's first message is malformed");
  const bool ours = nonce->size() > our_nonce.size() && nonce->starts_with(our_nonce);
  if (!ours || !is_printable(*nonce)) return bad("the server answers another login (nonce)");
  auto salt = base64_decoded(*salt_text);
  if (!salt || salt->empty()) return bad("the server's salt is not base64");
  std::uint32_t iterations = 0;
  const auto [end, error] = std::from_chars(digits->begin(), digits->end(), iterations);
  if (end != digits->end() || error == std::errc::invalid_argument || digits->starts_with('0')) {
    return bad("the server's iteration count is malformed");
  }
  if (error != std::errc() || iterations > kIterationsMax) {
    return bad("the server asks for more than " + std::to_string(kIterationsMax) + " iterations");
  }
  return ServerFirst{*nonce, *std::move(salt), iterations};
}

Status fits(std::string_view data) {
  if (data.size() > kServerMessageMax) return bad("the server's message is too large");
  if (data.find('\0') != std::string_view::npos) return bad("the server's message has a NUL in it");
  return success();
}

bool derived_from(const ScramKeys& keys, std::string_view salt, std::uint32_t iterations) {
  return keys.salt == salt && keys.iterations == iterations;
}

}  // namespace

ScramClient::ScramClient(ScramSecret secret, ChannelBinding binding, std::string nonce,
                         std::string_view certificate_hash)
    : secret_(std::move(secret)),
      binding_(binding),
      header_(header_of(binding)),
      nonce_(std::move(nonce)),
      first_bare_("n=,r=" + nonce_) {
  channel_ = header_;
  if (binding_ == ChannelBinding::EndPoint) channel_.append(certificate_hash);
  channel_ = base64(channel_);
}

std::string ScramClient::first() const {
  const std::string message = header_ + first_bare_;
  std::string body(binding_ == ChannelBinding::EndPoint ? kScramPlus : kScram);
  body.push_back('\0');
  const auto size = static_cast<std::uint32_t>(message.size());
  for (const int shift : {24, 16, 8, 0}) body.push_back(static_cast<char>(size >> shift & 255));
  return body.append(message);
}

Result<std::string> ScramClient::on_challenge(std::string_view data) {
  if (Status status = fits(data); !status) return status.error();
  Result<ServerFirst> first = read_first(data, nonce_);
  if (!first) return first.error();
  if (Status found = find_keys(std::move(first->salt), first->iterations); !found) {
    return found.error();
  }
  const std::string without_proof = "c=" + channel_ + ",r=" + std::string(first->nonce);
  const std::string auth_message = first_bare_ + "," + std::string(data) + "," + without_proof;
  const ScramKey signature = signature_of(stored_key_of(keys_.client_key), auth_message);
  const ScramKey proof = exclusive_or(keys_.client_key, signature);
  server_signature_ = signature_of(keys_.server_key, auth_message);
  return without_proof + ",p=" + base64(view_of(proof));
}

Status ScramClient::find_keys(std::string salt, std::uint32_t iterations) {
  if (const auto* const keys = std::get_if<ScramKeys>(&secret_)) {
    if (!derived_from(*keys, salt, iterations)) {
      return Error{Errc::BadConfig, kDoing,
                   "the server's verifier of this user has another salt or iteration count than "
                   "ours: give both servers the same verifier (ALTER ROLE ... PASSWORD "
                   "'SCRAM-SHA-256$...'), or this endpoint a password"};
    }
    keys_ = *keys;
    return success();
  }
  const auto& password = std::get<Password>(secret_);
  const bool known = password.known && derived_from(*password.known, salt, iterations);
  keys_ = known ? *password.known : keys_of_password(password.text, std::move(salt), iterations);
  return success();
}

Status ScramClient::on_final(std::string_view data) {
  if (Status status = fits(data); !status) return status;
  std::string_view left = data;
  if (const auto error = take_value(left, 'e')) {
    if (!is_printable(*error)) return bad("the server ends the exchange with an unreadable error");
    return bad("the server ends the exchange: " + std::string(*error));
  }
  const auto text = take_value(left, 'v');
  if (!text) return bad("the server's last message is malformed");
  const auto signature = base64_decoded(*text);
  if (!signature || !server_signature_ || !equal_secrets(*signature, view_of(*server_signature_))) {
    return bad("the server does not prove that it knows this user: its signature is wrong");
  }
  return success();
}

}  // namespace crossfade::postgres
