// Logins: of clients that prove to the sidecar who they are, of the sidecar that enters servers for
// them, and what has to be changed in logins that are handed through.
//
// A client that ends here sees what a server would send: SCRAM, then AuthenticationOk and all that
// follows it from the home server itself.
#include <spdlog/spdlog.h>

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/scram_message.h"
#include "protocols/postgres/types.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"
#include "tls/random.h"

namespace crossfade::postgres {

namespace {

// What is spoken with clients whose login ends here: no server has been asked for more by then.
constexpr Version kSpoken{kMajor, 0};

void append_sasl(std::string& out, std::string_view mechanisms) {
  std::vector<std::string_view> names;
  while (const auto name = next_mechanism(mechanisms)) names.push_back(*name);
  append_authentication_sasl(out, names);
}

// Of one that the exchange itself has come to.
LoginRefused reason_of(const LoginRefusal& refusal) {
  const std::string_view code = refusal.sqlstate;
  if (code == "28P01") return LoginRefused::Password;
  return code == "28000" ? LoginRefused::Binding : LoginRefused::Protocol;
}

}  // namespace

// --- the client's proof

void PostgresSession::prove(const StartUp& start) {
  login_.ours = true;
  if (login_.user.empty()) {
    return refuse({"28000", "no PostgreSQL user name specified in startup packet", {}},
                  LoginRefused::Protocol);
  }
  negotiate_version(start);
  if (newest_route()->login.mode == LoginMode::Trust) return enter_home();
  phase_ = Phase::Proving;
  loop().mark_busy(*this);
  look_up();
}

void PostgresSession::negotiate_version(const StartUp& start) {
  std::vector<std::string_view> unknown;
  std::string_view parameters = start.parameters;
  while (const auto one = next_parameter(parameters)) {
    if (is_protocol_option(one->name)) unknown.push_back(one->name);
  }
  if (start.version == kSpoken && unknown.empty()) return;
  std::string text;
  append_negotiate_version(text, kSpoken, unknown);
  client_.write_copy(text);
}

void PostgresSession::look_up() {
  const InterlayRoute& route = *newest_route();
  const auto known = route.login.users.find(login_.user);
  if (known != route.login.users.end()) return ask_for_proof(known->second, Chance::Real);
  if (!route.login.query) return ask_for_proof(mock(), Chance::Doomed);
  if (!loop().postgres().auth.look_up) {
    counters().refused(LoginRefused::LookUp);
    return say_and_close("08006", "crossfade: users can not be looked up here");
  }
  loop().postgres().auth.look_up(*route.at(route.home_side()), *route.login.query, login_.user,
                                 [asker = handle_](const AuthLookup& found) {
                                   asker->loop->post([asker, found] {
                                     if (asker->session) asker->session->on_looked_up(found);
                                   });
                                 });
}

void PostgresSession::on_looked_up(const AuthLookup& found) {
  begin_event();
  if (!found.why.empty()) {
    spdlog::warn("interlay {}: a user could not be looked up: {}", interlay_.id(), found.why);
  }
  if (phase_ == Phase::Proving) {
    switch (found.found) {
      case AuthLookup::Found::Verifier:
        ask_for_proof(found.verifier, Chance::Real);
        break;
      case AuthLookup::Found::Nobody:
        ask_for_proof(mock(), Chance::Doomed);
        break;
      case AuthLookup::Found::Failed:
        counters().refused(LoginRefused::LookUp);
        say_and_close("08006", "crossfade: users can not be looked up now, try again");
        break;
    }
  }
  end_event();
}

// What a client sees of it is like what real users have here.
ScramVerifier PostgresSession::mock() const {
  const InterlayRoute& route = *newest_route();
  if (route.login.users.empty()) return mock_verifier(route.mock_secret, login_.user);
  const ScramVerifier& real = route.login.users.begin()->second;
  return mock_verifier(route.mock_secret, login_.user, real.iterations,
                       std::min<std::size_t>(real.salt.size(), 32));
}

void PostgresSession::ask_for_proof(ScramVerifier verifier, Chance chance) {
  login_.scram = std::make_unique<ScramServer>(
      ScramLogin{.user = login_.user,
                 .verifier = std::move(verifier),
                 .chance = chance,
                 .nonce = nonce_of(random_bytes(kNonceBytes)),
                 .certificate_hash = client_.tls() ? client_.tls()->end_point() : std::string()});
  std::string text;
  append_sasl(text, login_.scram->mechanisms());
  client_.write_copy(text);
}

std::size_t PostgresSession::take_proof(std::string_view bytes) {
  held_ = held(bytes.front());
  if (held_ != Held::No) return 0;
  const Cut cut = cutter_.next(bytes);
  if (const auto* more = std::get_if<NeedMore>(&cut)) {
    wanted_ = bytes.size() + more->at_least;
    return 0;
  }
  const auto* piece = std::get_if<Piece>(&cut);
  if (piece && piece->whole() && piece->type == from_client::kPassword) {
    on_proof(piece->body());
    return piece->bytes.size();
  }
  counters().protocol_errors.add();
  const int type = static_cast<unsigned char>(bytes.front());
  refuse({"08P01", "expected SASL response, got message type " + std::to_string(type), {}},
         LoginRefused::Protocol);
  return bytes.size();
}

void PostgresSession::on_proof(std::string_view body) {
  ScramServer::Step step = login_.scram->advance(body);
  std::string text;
  if (const auto* challenge = std::get_if<ScramServer::Challenge>(&step)) {
    append_authentication_sasl_continue(text, challenge->data);
    client_.write_copy(text);
  } else if (auto* accepted = std::get_if<ScramServer::Accepted>(&step)) {
    append_authentication_sasl_final(text, accepted->data);
    client_.write_copy(text);
    login_.keys = std::move(accepted->keys);
    enter_home();
  } else {
    const auto& refusal = std::get<LoginRefusal>(step);
    refuse(refusal, reason_of(refusal));
  }
}

void PostgresSession::refuse(const LoginRefusal& refusal, LoginRefused why) {
  counters().refused(why);
  std::string text;
  append_error(text, {"FATAL", refusal.sqlstate, refusal.message, refusal.detail});
  client_.write_copy(text);
  close_client();
}

// --- ours, with servers

void PostgresSession::enter_home() {
  phase_ = Phase::Login;
  login_.scram.reset();
  const Side side = newest_route()->home_side();
  current_ = side;
  if (!interlay_.try_now(side, Interlay::Use::Needed, now_ns_) ||
      !server().enter(side, newest_route(), entry_at(side), Upstream::Shown::FromOk, now_ns_)) {
    counters().refused(LoginRefused::Unreachable);
    return say_and_close("08006", unreachable(side));
  }
  loop().mark_busy(*this);
}

// Whether the session can be itself there. A client that was let in by another server has shown us
// nothing that this one would take: it is entered with the endpoint's credentials, which are
// another user's rights unless it is the same user, or lending them was said.
bool PostgresSession::may_enter(Side side) const {
  const InterlayRoute& route = *newest_route();
  const std::string& endpoints = route.at(side)->username;
  return route.login.mode != LoginMode::PassThrough || route.login.enter_as == EnterAs::Endpoint ||
         endpoints.empty() || endpoints == login_.user;
}

// Rights are lent only where that was said: by enter_as, or by trust.
Entry PostgresSession::entry_at(Side side) const {
  const InterlayRoute& route = *newest_route();
  const EndpointAddress& address = *route.at(side);
  const bool lends =
      !login_.keys || (route.login.enter_as == EnterAs::Endpoint && !address.username.empty());
  const std::string user = lends && !address.username.empty() ? address.username : login_.user;
  Entry entry{.version = kSpoken,
              .parameters = entry_parameters(start_up_, lends ? address.username : ""),
              .credentials = NoCredentials{},
              .user = user.substr(0, kUserMax)};
  const bool own = address.username.empty() ? lends : address.username == user;
  if (own && !address.password.empty()) {
    entry.credentials = Password{.text = address.password, .known = std::nullopt};
  } else if (login_.keys && !lends) {
    entry.credentials = *login_.keys;
  }
  return entry;
}

// Of dual writes. Where logins are handed through one of the two servers has let the client in as
// itself.
Users PostgresSession::users() const {
  const InterlayRoute& route = dual_ ? *dual_->route : *newest_route();
  const bool lends =
      route.login.mode == LoginMode::Trust || route.login.enter_as == EnterAs::Endpoint;
  if (!lends || !route.authority()) return Users::Same;
  const auto at = [&](Side side) -> const std::string& {
    const std::string& endpoints = route.at(side)->username;
    return endpoints.empty() ? login_.user : endpoints;
  };
  const bool same = at(Side::Old) == at(Side::New);
  const bool as_itself = route.login.mode == LoginMode::PassThrough;
  return same && (!as_itself || at(Side::Old) == login_.user) ? Users::Same : Users::Differ;
}

void PostgresSession::home_not_entered(const std::string& why) {
  const Side side = server().side();
  const bool connecting = server().state() == Upstream::State::Connecting;
  if (connecting) interlay_.failed(side, Interlay::Failure::Connect, now_ns_);
  spdlog::warn("interlay {}: {} endpoint '{}' was not entered: {}", interlay_.id(), name_of(side),
               server().address().id, why);
  if (connecting) {
    counters().refused(LoginRefused::Unreachable);
    return say_and_close("08006", unreachable(side));
  }
  refuse({"28000",
          "crossfade: the " + std::string(name_of(side)) + " endpoint '" + server().address().id +
              "' does not let the sidecar in for user \"" + login_.user + "\"",
          why},
         LoginRefused::Entry);
}

// --- the client's, handed through

// TLS ends here, on both ways: nobody can bind to the other's.
bool PostgresSession::hide_plus(Upstream& up, const Piece& piece) {
  if (!up.stream().tls() || piece.type != from_server::kAuthentication) return false;
  const auto asked = view_authentication(piece.body());
  if (!asked || asked->kind != Auth::Sasl) return false;
  login_.torn = client_.tls() != nullptr;
  std::string text;
  append_sasl(text, without_plus(asked->data));
  client_.write_copy(text);
  counters().client_out.add(text.size());
  return true;
}

// A client that could bind says so ("y"), and a server that offered to takes that for an attack.
bool PostgresSession::binds_in_vain(const Piece& piece) const {
  if (!login_.torn || !piece.whole()) return false;
  const auto initial = view_sasl_initial(piece.body());
  return initial && initial->response && !initial->response->starts_with("n,");
}

}  // namespace crossfade::postgres
