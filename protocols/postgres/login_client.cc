// Which answer each Authentication message gets.
#include "protocols/postgres/login_client.h"

#include <algorithm>
#include <array>
#include <utility>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/md5_login.h"
#include "protocols/postgres/scram_message.h"

namespace crossfade::postgres {
namespace {

constexpr const char* kUnexpected = "the server's authentication messages come in no known order";

// What one could have for a server, and did not.
const char* missing_for(const Credentials& credentials) {
  struct Words {
    const char* operator()(const NoCredentials&) const {
      return "no credentials are configured: give this endpoint a username and a password";
    }
    const char* operator()(const Password&) const { return ""; }
    const char* operator()(const ScramKeys&) const {
      return "only the user's SCRAM keys are known, not the password: let the server ask for "
             "scram-sha-256 (pg_hba.conf), or give this endpoint a password";
    }
    const char* operator()(const Md5Verifier&) const {
      return "only the user's md5 verifier is known, not the password: let the server ask for md5 "
             "(pg_hba.conf), or give this endpoint a password";
    }
  };
  return std::visit(Words{}, credentials);
}

struct Mechanisms {
  bool scram = false;
  bool plus = false;
  std::string names;  // what the server offers, for people
};
// Names that end in NULs, and one more NUL. nullopt if they do not.
std::optional<Mechanisms> read_mechanisms(std::string_view data) {
  Mechanisms found;
  while (!data.empty() && data.front() != '\0') {
    const std::size_t end = data.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view name = data.substr(0, end);
    found.scram |= name == kScram;
    found.plus |= name == kScramPlus;
    if (!found.names.empty()) found.names += ", ";
    found.names += is_printable(name) ? name : "?";
    data.remove_prefix(end + 1);
  }
  if (data.size() != 1) return std::nullopt;
  return found;
}

const char* name_of(Auth method) {
  switch (method) {
    case Auth::Kerberos5:
      return "Kerberos V5";
    case Auth::Scm:
      return "SCM credentials";
    case Auth::Gss:
    case Auth::GssContinue:
      return "GSSAPI (gss)";
    case Auth::Sspi:
      return "SSPI (sspi)";
    case Auth::Ok:
    case Auth::Cleartext:
    case Auth::Md5:
    case Auth::Sasl:
    case Auth::SaslContinue:
    case Auth::SaslFinal:
      break;
  }
  return nullptr;
}

ScramSecret secret_of(const Credentials& credentials) {
  if (const auto* const keys = std::get_if<ScramKeys>(&credentials)) return *keys;
  return std::get<Password>(credentials);
}

}  // namespace

LoginStep LoginClient::advance(std::uint32_t code, std::string_view data) {
  if (state_ == State::Over) return fail(Errc::BadInput, kUnexpected);
  if (data.size() > kServerMessageMax) {
    return fail(Errc::BadInput, "the server's authentication message is too large");
  }
  switch (static_cast<Auth>(code)) {
    case Auth::Ok:
      return on_ok();
    case Auth::Cleartext:
      return on_cleartext();
    case Auth::Md5:
      return on_md5(data);
    case Auth::Sasl:
      return on_sasl(data);
    case Auth::SaslContinue:
      return on_challenge(data);
    case Auth::SaslFinal:
      return on_final(data);
    case Auth::Kerberos5:
    case Auth::Scm:
    case Auth::Gss:
    case Auth::GssContinue:
    case Auth::Sspi:
      break;
  }
  return on_other(code);
}

const ScramKeys* LoginClient::keys() const { return scram_ ? &scram_->keys() : nullptr; }

LoginStep LoginClient::answer(State next, std::string body) {
  state_ = next;
  return LoginReply{std::move(body)};
}

LoginStep LoginClient::fail(Errc code, std::string reason) {
  state_ = State::Over;
  return Error{code, "log in as \"" + setup_.user + "\"", std::move(reason)};
}

LoginStep LoginClient::on_ok() {
  if (state_ == State::FirstSent || state_ == State::FinalSent) {
    return fail(Errc::BadInput, "the server lets us in without having proved who it is (SCRAM)");
  }
  state_ = State::Over;
  return LoginDone{};
}

LoginStep LoginClient::on_cleartext() {
  if (state_ != State::Asked) return fail(Errc::BadInput, kUnexpected);
  const auto* const password = std::get_if<Password>(&setup_.credentials);
  if (password == nullptr) {
    return fail(Errc::BadConfig, std::string("the server asks for a password in clear text; ") +
                                     missing_for(setup_.credentials));
  }
  if (setup_.cleartext == Cleartext::Refused) {
    return fail(Errc::BadConfig,
                "the server asks for a password in clear text, and the connection is not "
                "encrypted: use TLS, or let the server ask for scram-sha-256 (pg_hba.conf)");
  }
  return answer(State::Answered, cleartext_response(password->text));
}

LoginStep LoginClient::on_md5(std::string_view data) {
  Md5Salt salt;
  if (state_ != State::Asked || data.size() != salt.size()) {
    return fail(Errc::BadInput, kUnexpected);
  }
  std::copy(data.begin(), data.end(), salt.begin());
  const auto* const password = std::get_if<Password>(&setup_.credentials);
  const auto* const known = std::get_if<Md5Verifier>(&setup_.credentials);
  if (password == nullptr && known == nullptr) {
    return fail(Errc::BadConfig,
                std::string("the server asks for md5; ") + missing_for(setup_.credentials));
  }
  const Result<Md5Verifier> verifier =
      known != nullptr ? *known : md5_verifier_of(setup_.user, password->text);
  if (!verifier) return fail(verifier.error().code, verifier.error().reason);
  Result<std::string> response = md5_response(verifier.value(), salt);
  if (!response) return fail(response.error().code, response.error().reason);
  return answer(State::Answered, std::move(response).value());
}

LoginStep LoginClient::on_sasl(std::string_view data) {
  const auto offered = read_mechanisms(data);
  if (state_ != State::Asked || !offered) return fail(Errc::BadInput, kUnexpected);
  const bool able = std::holds_alternative<Password>(setup_.credentials) ||
                    std::holds_alternative<ScramKeys>(setup_.credentials);
  if (!able) {
    return fail(Errc::BadConfig, "the server asks for SASL (" + offered->names + "); " +
                                     missing_for(setup_.credentials));
  }
  const bool can_bind = !setup_.certificate_hash.empty();
  const bool binds = can_bind && offered->plus;
  if (!binds && !offered->scram) {
    return fail(Errc::BadConfig, "the server asks for SASL (" + offered->names +
                                     "); of these only SCRAM-SHA-256 is known here, and "
                                     "SCRAM-SHA-256-PLUS over TLS");
  }
  const ChannelBinding unbound = can_bind ? ChannelBinding::Unoffered : ChannelBinding::None;
  scram_.emplace(secret_of(setup_.credentials), binds ? ChannelBinding::EndPoint : unbound,
                 setup_.nonce, setup_.certificate_hash);
  return answer(State::FirstSent, scram_->first());
}

LoginStep LoginClient::on_challenge(std::string_view data) {
  if (state_ != State::FirstSent) return fail(Errc::BadInput, kUnexpected);
  Result<std::string> body = scram_->on_challenge(data);
  if (!body) return fail(body.error().code, body.error().reason);
  return answer(State::FinalSent, std::move(body).value());
}

LoginStep LoginClient::on_final(std::string_view data) {
  if (state_ != State::FinalSent) return fail(Errc::BadInput, kUnexpected);
  const Status proved = scram_->on_final(data);
  if (!proved) return fail(proved.error().code, proved.error().reason);
  state_ = State::Proved;
  return LoginGoesOn{};
}

LoginStep LoginClient::on_other(std::uint32_t code) {
  const char* const name = name_of(static_cast<Auth>(code));
  const std::string method =
      name != nullptr ? name : "authentication method " + std::to_string(code);
  return fail(Errc::BadConfig, "the server asks for " + method +
                                   ", which is not known here: let it ask for scram-sha-256, md5, "
                                   "password or trust from this address (pg_hba.conf)");
}

}  // namespace crossfade::postgres
