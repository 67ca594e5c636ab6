// Sessions of MCP clients: who began them, and which are still known.
//
// A session outlives no restart; a client that is told 404 begins a new one (Model Context Protocol
// 2025-06-18, Transports, Session Management). Any number of threads.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace crossfade {

inline constexpr std::size_t kMcpSessionsMax = 256;      // the one unused longest makes room
inline constexpr std::size_t kMcpStreamsMax = 16;        // each holds a thread of the control port
inline constexpr std::size_t kMcpStreamsOfTokenMax = 8;  // nobody takes them all
inline constexpr auto kMcpSessionIdle = std::chrono::hours(1);

class McpSessions {
 public:
  using Clock = std::chrono::steady_clock;

  // A new session of the token of that name; its id, which nobody can guess.
  std::string begin(const std::string& token, Clock::time_point now);
  // True when it is known, and of that token; it counts as used then.
  bool use(const std::string& id, const std::string& token, Clock::time_point now);
  void end(const std::string& id);

  // The right to hold a stream of a session open; false when there are too many, of that token or
  // of all, or all are ending.
  bool open_stream(const std::string& token);
  void close_stream(const std::string& token);
  // Waits for the session to end, at most for `most`. True while the stream may stay open.
  bool wait(const std::string& id, std::chrono::milliseconds most);
  // Ends all streams, and lets nobody open one.
  void close();

 private:
  struct Session {
    std::string token;
    Clock::time_point used;
  };
  void make_room(Clock::time_point now);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Session> sessions_;
  std::map<std::string, std::size_t> streams_;  // by token
  bool closed_ = false;
};

}  // namespace crossfade
