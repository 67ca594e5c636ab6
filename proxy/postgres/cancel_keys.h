// Which session a CancelRequest means: the pid and the secret that its client was given, by
// interlay.
//
// The only thing of PostgreSQL sessions that loops share. Any thread; a lock is taken once per
// login, end of a session, and cancel, never per request.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace crossfade {
class Loop;
}

namespace crossfade::postgres {

class PostgresSession;

// A session as others may hold it: on its loop, `session` tells whether it is still there.
struct SessionHandle {
  Loop* loop;
  PostgresSession* session;  // touched on `loop` only; null once it has ended
};
using SessionHandlePtr = std::shared_ptr<SessionHandle>;

class CancelKeys {
 public:
  // Pids come again, secrets hardly: whoever holds both a second time has replaced the first.
  void add(const std::string& interlay, std::uint32_t pid, std::string_view secret,
           SessionHandlePtr session);
  // Only where it is still that session's.
  void remove(const std::string& interlay, std::uint32_t pid, const SessionHandlePtr& session);
  // Null: nobody's, or the secret is another one. Secrets are compared in constant time.
  SessionHandlePtr find(const std::string& interlay, std::uint32_t pid, std::string_view secret);

 private:
  struct Entry {
    std::string secret;
    SessionHandlePtr session;
  };
  std::mutex mutex_;
  std::multimap<std::pair<std::string, std::uint32_t>, Entry> entries_;  // guarded by mutex_
};

}  // namespace crossfade::postgres
