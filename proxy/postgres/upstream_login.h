// The login of an upstream that enters a server by itself: what each message of the server, up to
// its first ReadyForQuery, is answered with.
//
// None of them is for a client. Knows nothing of connections: it is told what the wire is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "protocols/base/result.h"
#include "protocols/postgres/login_client.h"
#include "protocols/postgres/message.h"
#include "protocols/postgres/startup.h"
#include "proxy/postgres/known_keys.h"

namespace crossfade::postgres {

// As whom a server is entered, and for what.
struct Entry {
  Version version;
  std::string parameters;  // of the StartUp, as a packet has them: name, NUL, value, NUL, …
  Credentials credentials;
  std::string user;  // as among the parameters, cut as the server cuts it
};

// The client's parameters as they came, its database among them, but for options of the protocol,
// which are for whoever speaks it with the client.
//   user   empty: the client's
std::string entry_parameters(std::string_view of_client, std::string_view user);

// What the login may rely on.
struct LoginWire {
  Cleartext cleartext = Cleartext::Refused;
  std::string certificate_hash = {};  // for channel binding; empty without TLS
};

class UpstreamLogin {
 public:
  //   endpoint   id; keys are known by it
  UpstreamLogin(Entry entry, std::string endpoint, KnownKeys& known);

  // The StartUp packet. Once.
  std::string begin(LoginWire wire);

  struct Send {
    std::string bytes;
  };
  struct Wait {};
  struct Authenticated {};  // the server is content; what it says of the session follows
  struct Entered {};
  using Step = std::variant<Send, Wait, Authenticated, Entered, Error>;
  // A whole message of the server. An error says why it does not let us in, for people, without
  // secrets; the login is over then.
  Step advance(const Piece& message);

 private:
  Step on_authentication(const Piece& message);
  Step on_error(const Piece& message) const;
  Step fail(std::string reason) const;

  Entry entry_;
  std::string endpoint_;
  KnownKeys& known_;
  std::optional<LoginClient> client_;
  bool authenticated_ = false;
};

}  // namespace crossfade::postgres
