// The server's side of SCRAM: what is refused, in PostgreSQL's order.
#include "protocols/postgres/scram_server.h"

#include <algorithm>
#include <optional>

#include "protocols/base/base64.h"
#include "protocols/postgres/scram_message.h"

namespace crossfade::postgres {
namespace {

constexpr const char* kProtocolViolation = "08P01";
constexpr const char* kNotSupported = "0A000";
constexpr const char* kInvalidAuthorization = "28000";
constexpr const char* kInvalidPassword = "28P01";
constexpr std::size_t kQuotedMax = 30;  // characters of a client's text that the server repeats

LoginRefusal violation(std::string message) { return {kProtocolViolation, std::move(message), {}}; }

LoginRefusal malformed(std::string detail) {
  return {kProtocolViolation, "malformed SCRAM message", std::move(detail)};
}

bool is_visible(char c) { return c >= 0x21 && c <= 0x7e; }

// A character as the server names it to the client.
std::string named(char c) {
  if (is_visible(c)) return {'\'', c, '\''};
  constexpr const char* kDigits = "0123456789abcdef";
  const auto code = static_cast<unsigned char>(c);
  return {'0', 'x', kDigits[code >> 4], kDigits[code & 15]};
}

std::string quoted(std::string_view text) {
  std::string safe(text.substr(0, kQuotedMax));
  std::replace_if(
      safe.begin(), safe.end(), [](char c) { return !is_visible(c); }, '?');
  return safe;
}

// A reading that stops at the first thing that is wrong.
class Reader {
 public:
  explicit Reader(std::string_view message) : left_(message) {}

  // The value of attribute `name`, which must be next.
  std::string_view expect(char name) {
    if (failure_) return {};
    if (front_of(left_) != name) {
      return fail(malformed(std::string("Expected attribute \"") + name + "\" but found \"" +
                            named(front_of(left_)) + "\"."));
    }
    return value();
  }

  // Any attribute; its name is left in `name`.
  std::string_view any(char& name) {
    if (failure_) return {};
    name = front_of(left_);
    if (left_.empty()) return fail(malformed("Attribute expected, but found end of string."));
    const bool letter = (name >= 'A' && name <= 'Z') || (name >= 'a' && name <= 'z');
    if (!letter) {
      return fail(
          malformed("Attribute expected, but found invalid character \"" + named(name) + "\"."));
    }
    return value();
  }

  std::string_view left() const { return left_; }
  void skip(std::size_t characters) { left_.remove_prefix(characters); }
  std::string_view fail(LoginRefusal refusal) {
    if (!failure_) failure_ = std::move(refusal);
    return {};
  }
  const std::optional<LoginRefusal>& failure() const { return failure_; }

 private:
  std::string_view value() {
    const char name = front_of(left_);
    if (const auto found = take_value(left_)) return *found;
    return fail(malformed(std::string("Expected character \"=\" for attribute \"") + name + "\"."));
  }

  std::string_view left_;
  std::optional<LoginRefusal> failure_;
};

void skip_comma(Reader& reader) {
  if (reader.failure()) return;
  if (front_of(reader.left()) != ',') {
    reader.fail(malformed("Comma expected, but found character \"" +
                          named(front_of(reader.left())) + "\"."));
    return;
  }
  reader.skip(1);
}

// The flag of a client that does not bind ("n"), or thinks that we can not ("y").
void read_unbound(Reader& reader, bool plus, bool offered) {
  if (plus) {
    reader.fail(
        malformed("The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not "
                  "include channel binding data."));
  }
  // Somebody between us has hidden what we offered.
  if (front_of(reader.left()) == 'y' && offered) {
    reader.fail({kInvalidAuthorization, "SCRAM channel binding negotiation error",
                 "The client supports SCRAM channel binding but thinks the server does not.  "
                 "However, this server does support channel binding."});
  }
  reader.skip(1);
  skip_comma(reader);
}

void read_bound(Reader& reader, bool plus) {
  if (!plus) {
    reader.fail(
        malformed("The client selected SCRAM-SHA-256 without channel binding, but the "
                  "SCRAM message includes channel binding data."));
  }
  const std::string_view type = reader.expect('p');
  if (type != kEndPoint) {
    reader.fail(violation("unsupported SCRAM channel-binding type \"" + quoted(type) + "\""));
  }
}

void read_flag(Reader& reader, bool plus, bool offered) {
  const char flag = front_of(reader.left());
  if (flag == 'n' || flag == 'y') {
    read_unbound(reader, plus, offered);
  } else if (flag == 'p') {
    read_bound(reader, plus);
  } else {
    reader.fail(malformed("Unexpected channel-binding flag \"" + named(flag) + "\"."));
  }
}

// The place of a second name to log in as: the server knows none.
void read_authorization(Reader& reader) {
  if (reader.failure()) return;
  const char next = front_of(reader.left());
  if (next == 'a') {
    reader.fail({kNotSupported, "client uses authorization identity, but it is not supported", {}});
  } else if (next != ',') {
    reader.fail(malformed("Unexpected attribute \"" + named(next) + "\" in client-first-message."));
  } else {
    reader.skip(1);
  }
}

// client-first-message-bare; returns the client's nonce.
std::string_view read_bare(Reader& reader) {
  if (!reader.failure() && front_of(reader.left()) == 'm') {
    reader.fail({kNotSupported, "client requires an unsupported SCRAM extension", {}});
  }
  reader.expect('n');
  const std::string_view nonce = reader.expect('r');
  if (!is_printable(nonce)) reader.fail(violation("non-printable characters in SCRAM nonce"));
  char name = '\0';
  while (!reader.failure() && !reader.left().empty()) reader.any(name);
  return nonce;
}

struct FinalMessage {
  std::string_view nonce;
  std::string_view without_proof;
  ScramKey proof{};
};

FinalMessage read_final(Reader& reader, std::string_view message, std::string_view channel,
                        bool plus) {
  FinalMessage result;
  if (reader.expect('c') != channel) {
    reader.fail(plus ? LoginRefusal{kInvalidAuthorization, "SCRAM channel binding check failed", {}}
                     : violation("unexpected SCRAM channel-binding attribute in "
                                 "client-final-message"));
  }
  result.nonce = reader.expect('r');
  std::string_view proof;
  for (char name = '\0'; name != 'p' && !reader.failure();) {
    // Without the comma in front of it.
    result.without_proof = message.substr(0, message.size() - reader.left().size() - 1);
    proof = reader.any(name);
  }
  const std::optional<std::string> bytes = base64_decoded(proof);
  if (!bytes || bytes->size() != result.proof.size()) {
    reader.fail(malformed("Malformed proof in client-final-message."));
  } else {
    std::copy(bytes->begin(), bytes->end(), result.proof.begin());
  }
  if (!reader.left().empty()) {
    reader.fail(malformed("Garbage found at the end of client-final-message."));
  }
  return result;
}

}  // namespace

LoginRefusal password_refusal(std::string_view user) {
  return {kInvalidPassword,
          "password authentication failed for user \"" + std::string(user) + "\"",
          {}};
}

std::string ScramServer::mechanisms() const {
  std::string list;
  if (!login_.certificate_hash.empty()) list.append(kScramPlus).push_back('\0');
  list.append(kScram).push_back('\0');
  list.push_back('\0');
  return list;
}

ScramServer::Step ScramServer::refuse(LoginRefusal refusal) {
  state_ = State::Ended;
  return refusal;
}

ScramServer::Step ScramServer::advance(std::string_view body) {
  // One try for each exchange, whatever a caller does.
  if (state_ == State::Ended) return refuse(password_refusal(login_.user));
  if (body.size() > kSaslBodyMax) return refuse(password_refusal(login_.user));
  if (state_ == State::Initial) return on_initial(body);
  if (body.empty()) return refuse(malformed("The message is empty."));
  if (body.find('\0') != std::string_view::npos) {
    return refuse(malformed("Message length does not match input length."));
  }
  return state_ == State::First ? on_first(body) : on_final(body);
}

// SASLInitialResponse: the mechanism, a NUL, four bytes of length (-1: no data), the data.
ScramServer::Step ScramServer::on_initial(std::string_view body) {
  const std::size_t end = body.find('\0');
  if (end == std::string_view::npos) return refuse(violation("invalid string in message"));
  const std::string_view mechanism = body.substr(0, end);
  body.remove_prefix(end + 1);
  if (mechanism == kScramPlus && !login_.certificate_hash.empty()) {
    mechanism_ = Mechanism::Plus;
  } else if (mechanism != kScram) {
    return refuse(violation("client selected an invalid SASL authentication mechanism"));
  }
  if (body.size() < 4) return refuse(violation("insufficient data left in message"));
  std::uint32_t size = 0;
  for (const char c : body.substr(0, 4)) size = size << 8 | static_cast<unsigned char>(c);
  body.remove_prefix(4);
  state_ = State::First;
  if (size == 0xffffffff) {
    if (!body.empty()) return refuse(violation("invalid message format"));
    return Challenge{};
  }
  if (size > body.size()) return refuse(violation("insufficient data left in message"));
  if (size < body.size()) return refuse(violation("invalid message format"));
  return advance(body);
}

ScramServer::Step ScramServer::on_first(std::string_view message) {
  const bool plus = mechanism_ == Mechanism::Plus;
  Reader reader(message);
  read_flag(reader, plus, !login_.certificate_hash.empty());
  read_authorization(reader);
  first_bare_ = reader.left();
  const std::string_view nonce = read_bare(reader);
  if (reader.failure()) return refuse(*reader.failure());
  // What the client will have to repeat: the header of this message, and the certificate's hash.
  const std::size_t header = message.size() - first_bare_.size();
  std::string channel(message.substr(0, header));
  if (plus) channel.append(login_.certificate_hash);
  channel_ = base64(channel);
  nonce_.assign(nonce).append(login_.nonce);
  first_ = "r=" + nonce_ + ",s=" + base64(login_.verifier.salt) +
           ",i=" + std::to_string(login_.verifier.iterations);
  state_ = State::Final;
  return Challenge{first_};
}

ScramServer::Step ScramServer::on_final(std::string_view message) {
  Reader reader(message);
  const FinalMessage last = read_final(reader, message, channel_, mechanism_ == Mechanism::Plus);
  if (reader.failure()) return refuse(*reader.failure());
  if (!equal_secrets(last.nonce, nonce_)) {
    return refuse({kProtocolViolation, "invalid SCRAM response", "Nonce does not match."});
  }
  const std::string auth_message =
      first_bare_ + "," + first_ + "," + std::string(last.without_proof);
  const ScramVerifier& verifier = login_.verifier;
  const ScramKey client_key =
      exclusive_or(last.proof, signature_of(verifier.stored_key, auth_message));
  const ScramKey signature = signature_of(verifier.server_key, auth_message);
  // The doomed come as far as everybody: the same work for them.
  const bool fits = equal_secrets(view_of(stored_key_of(client_key)), view_of(verifier.stored_key));
  if (!fits || login_.chance == Chance::Doomed) return refuse(password_refusal(login_.user));
  state_ = State::Ended;
  return Accepted{"v=" + base64(view_of(signature)),
                  {verifier.salt, verifier.iterations, client_key, verifier.server_key}};
}

}  // namespace crossfade::postgres
