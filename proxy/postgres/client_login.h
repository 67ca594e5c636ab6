// What a session knows of its client from the start-up packet and from its login: enough to enter
// servers for it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "protocols/postgres/scram_keys.h"
#include "protocols/postgres/scram_server.h"

namespace crossfade::postgres {

inline constexpr std::size_t kUserMax = 63;  // bytes of a user's name; servers cut off the rest

struct ClientLogin {
  std::string user;  // of the start-up packet, cut
  // The home server does not judge this client: nothing that it sends before AuthenticationOk is
  // for a server.
  bool ours = false;
  std::unique_ptr<ScramServer> scram;  // while it proves who it is
  std::optional<ScramKeys> keys;       // what that gave
  // SCRAM is handed through, and the client's TLS ends here while ours with the server does not.
  bool torn = false;
};

// SCRAM ties a login to the TLS around it where both ends can, and there are two here.
inline const LoginRefusal kBindsInVain{
    "28000",
    "crossfade: a SCRAM login can not be handed through between a client and a server that both "
    "speak TLS",
    "It is bound to one TLS connection, and there are two. End logins at the sidecar (\"auth\": "
    "{\"mode\": \"terminate\", …} of the interlay), or use TLS on one of the two ways only, or "
    "channel_binding=disable in the client."};

}  // namespace crossfade::postgres
