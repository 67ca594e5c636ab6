// MD5 logins: "md5" + hex(md5(hex(md5(password + user)) + salt)).
#include "protocols/postgres/md5_login.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <optional>

namespace crossfade::postgres {
namespace {

constexpr std::size_t kPrefix = 3;  // "md5"

Error no_md5() { return {Errc::Unavailable, "log in by MD5", "this OpenSSL has no MD5"}; }

std::string hex_of(const unsigned char* bytes, std::size_t size) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

std::optional<std::string> md5_text(const std::string& bytes) {
  std::array<unsigned char, 16> digest;
  // What fails here must not be found by the TLS of another connection of this thread.
  ERR_set_mark();
  const int made =
      EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_md5(), nullptr);
  ERR_pop_to_mark();
  if (made != 1) return std::nullopt;
  return "md5" + hex_of(digest.data(), digest.size());
}

}  // namespace

Result<Md5Verifier> md5_verifier_of(std::string_view user, std::string_view password) {
  auto text = md5_text(std::string(password).append(user));
  if (!text) return no_md5();
  return Md5Verifier{*std::move(text)};
}

Result<std::string> md5_response(const Md5Verifier& verifier, const Md5Salt& salt) {
  auto text = md5_text(verifier.text.substr(kPrefix).append(salt.data(), salt.size()));
  if (!text) return no_md5();
  text->push_back('\0');
  return *std::move(text);
}

bool md5_fits(const Md5Verifier& verifier, const Md5Salt& salt, std::string_view body) {
  const Result<std::string> right = md5_response(verifier, salt);
  return right.ok() && equal_secrets(right.value(), body);
}

Md5Verifier mock_md5_verifier(std::string_view secret, std::string_view user) {
  const ScramKey key = hmac_sha256(secret, std::string("m").append(user));
  return {"md5" + hex_of(key.data(), 16)};
}

std::string cleartext_response(std::string_view password) {
  std::string body(password.substr(0, password.find('\0')));
  body.push_back('\0');
  return body;
}

}  // namespace crossfade::postgres
