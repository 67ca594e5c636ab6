// A real redis-server of the machine, as the judge of what our parsers claim. Listens on a Unix
// socket in a folder of its own, so that no port is taken, and dies with the test.
#pragma once

#include <hiredis/hiredis.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/redis/command.h"

namespace crossfade::redis {

class Server {
 public:
  // Starts a server and waits until it answers; fails the test case after a limit.
  Server();
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  struct FreeReply {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  using Reply = std::unique_ptr<redisReply, FreeReply>;
  Reply call(const std::vector<std::string>& words);

  // Sends bytes on a connection of their own, says that no more will come, and returns everything
  // that the server answered.
  std::string answer_to(std::string_view bytes) const;

 private:
  std::string folder_;
  int pid_ = -1;
  struct FreeContext {
    void operator()(redisContext* context) const { redisFree(context); }
  };
  std::unique_ptr<redisContext, FreeContext> context_;
};

// What COMMAND says, as plain data.
std::vector<CommandReplyEntry> read_command_reply(const redisReply& reply);

}  // namespace crossfade::redis
