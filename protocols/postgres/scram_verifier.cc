// Verifiers, read as strictly as they are written.
#include "protocols/postgres/scram_verifier.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <optional>

#include "protocols/base/base64.h"
#include "protocols/postgres/scram_message.h"

namespace crossfade::postgres {
namespace {

constexpr std::size_t kMd5Size = 35;  // "md5" and the digits

Error bad(const char* reason) { return {Errc::BadInput, "read a password verifier", reason}; }

// What is before `end`, which goes too; nullopt if there is no `end`.
std::optional<std::string_view> take_until(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at + 1);
  return part;
}

std::optional<std::uint32_t> iterations_of(std::string_view digits) {
  if (digits.starts_with('0')) return std::nullopt;
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
  const bool whole = error == std::errc() && end == digits.end();
  if (!whole || number > kVerifierIterationsMax) return std::nullopt;
  return number;
}

std::optional<ScramKey> key_of(std::string_view text) {
  const std::optional<std::string> bytes = base64_decoded(text);
  ScramKey key;
  if (!bytes || bytes->size() != key.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

Result<Verifier> parse_scram(std::string_view text) {
  const auto digits = take_until(text, ':');
  const auto salt_text = take_until(text, '$');
  const auto stored_text = take_until(text, ':');
  if (!digits || !salt_text || !stored_text) return bad("a part of it is missing");
  const auto iterations = iterations_of(*digits);
  if (!iterations) return bad("its iterations are no number from 1 to 2147483647");
  auto salt = base64_decoded(*salt_text);
  if (!salt || salt->empty()) return bad("its salt is not base64");
  if (salt->size() > kSaltMax) return bad("its salt is longer than 512 bytes");
  const auto stored_key = key_of(*stored_text);
  const auto server_key = key_of(text);
  if (!stored_key || !server_key) return bad("a key of it is not the base64 of 32 bytes");
  return Verifier(ScramVerifier{*iterations, *std::move(salt), *stored_key, *server_key});
}

bool is_md5(std::string_view text) {
  return text.size() == kMd5Size && text.starts_with("md5") &&
         text.find_first_not_of("0123456789abcdef", 3) == std::string_view::npos;
}

}  // namespace

Result<Verifier> parse_verifier(std::string_view text) {
  if (text.size() > kVerifierMax) return bad("it is longer than 2048 characters");
  if (is_md5(text)) return Verifier(Md5Verifier{std::string(text)});
  const auto scheme = take_until(text, '$');
  if (scheme == kScram) return parse_scram(text);
  return bad("it is neither SCRAM-SHA-256$... nor md5...");
}

std::string format(const ScramVerifier& verifier) {
  std::string text(kScram);
  text.append("$").append(std::to_string(verifier.iterations));
  text.append(":").append(base64(verifier.salt));
  text.append("$").append(base64(view_of(verifier.stored_key)));
  text.append(":").append(base64(view_of(verifier.server_key)));
  return text;
}

ScramVerifier verifier_of(const ScramKeys& keys) {
  return {keys.iterations, keys.salt, stored_key_of(keys.client_key), keys.server_key};
}

ScramVerifier mock_verifier(std::string_view secret, std::string_view user,
                            std::uint32_t iterations, std::size_t salt_size) {
  const auto derived = [&](char purpose) {
    return hmac_sha256(secret, std::string(1, purpose).append(user));
  };
  const ScramKey salt = derived('s');
  assert(salt_size <= salt.size());
  return {iterations, std::string(view_of(salt).substr(0, salt_size)), derived('k'), derived('v')};
}

}  // namespace crossfade::postgres
