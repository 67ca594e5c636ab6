// Making sure that what a lost connection carried is over: ending it at the server, by its id.
//
// Closing a connection here does not end it there: a server that was stopped or slow still runs
// what it has received. Only the server can say that a client is gone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "movement/redis_connection.h"
#include "strategies/ports.h"

namespace crossfade {

struct Fenced {
  std::vector<ServersClient> gone;  // nothing of them runs any more
  std::string why;                  // empty: all are gone
};

// Ends each by CLIENT KILL; where that is forbidden, asks CLIENT LIST ID whether it is gone by
// itself. What the server does not tell is not believed to be gone.
//   errors  Unavailable: the connection is lost, or no answer in time
Result<Fenced> end_clients(RedisConnection& connection, const std::vector<ServersClient>& clients);

// An error reply's text without what it may repeat of a command's arguments, and not too long.
std::string words_of_refusal(std::string_view text);

// The server has not the command, or this user may not use it.
bool is_forbidden(const RedisReply& reply);

}  // namespace crossfade
