// CLIENT KILL, and what to make of its refusal.
#include "movement/redis_fence.h"

namespace crossfade {

namespace {

constexpr std::size_t kWords_max = 200;  // bytes of a refusal that are shown

// A command that ends it; the command views `id` and the client's address.
RedisCommand end_of(const ServersClient& client, const std::string& id) {
  RedisCommand command{"CLIENT", "KILL", "ID", id};
  if (!client.address.empty()) command.insert(command.end(), {"ADDR", client.address});
  return command;
}

// One of them could not be ended: has it gone by itself?
Status look_for(RedisConnection& connection, const ServersClient& client, Fenced& fenced) {
  const std::string id = std::to_string(client.id);
  const std::string line = "\nid=" + id + " addr=" + client.address;
  auto listed = connection.call({"CLIENT", "LIST", "ID", id});
  if (!listed) return listed.error();
  if (listed->is_error()) {
    fenced.why = "cannot tell whether a connection that was given up is gone: CLIENT KILL and " +
                 ("CLIENT LIST are refused: " + words_of_refusal(listed->text));
  } else if (("\n" + listed->text).find(line) != std::string::npos) {
    fenced.why = "a connection that was given up is still open there, and CLIENT KILL is refused";
  } else {
    fenced.gone.push_back(client);
  }
  return success();
}

}  // namespace

std::string words_of_refusal(std::string_view text) {
  text = text.substr(0, text.find(", with args beginning with"));
  text = text.substr(0, text.find_first_of("\r\n"));
  return std::string(text.substr(0, kWords_max));
}

bool is_forbidden(const RedisReply& reply) {
  return reply.is_error() &&
         (reply.text.starts_with("NOPERM") || reply.text.starts_with("ERR unknown command") ||
          reply.text.starts_with("ERR unknown subcommand") ||
          reply.text.starts_with("ERR Unknown subcommand"));
}

Result<Fenced> end_clients(RedisConnection& connection, const std::vector<ServersClient>& clients) {
  Fenced fenced;
  if (clients.empty()) return fenced;
  std::vector<std::string> ids;
  for (const ServersClient& client : clients) ids.push_back(std::to_string(client.id));
  std::vector<RedisCommand> commands;
  for (std::size_t i = 0; i < clients.size(); ++i) commands.push_back(end_of(clients[i], ids[i]));
  auto replies = connection.call_all(commands);
  if (!replies) return replies.error();
  for (std::size_t i = 0; i < replies->size(); ++i) {
    const RedisReply& reply = (*replies)[i];
    if (!reply.is_error()) {
      fenced.gone.push_back(clients[i]);  // 0 and 1: it is gone either way
    } else if (is_forbidden(reply)) {
      if (Status looked = look_for(connection, clients[i], fenced); !looked) return looked.error();
    } else {
      fenced.why = "CLIENT KILL is refused: " + words_of_refusal(reply.text);
    }
  }
  return fenced;
}

}  // namespace crossfade
