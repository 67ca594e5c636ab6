// The table of sessions, bounded in number and in time.
#include "control/mcp/sessions.h"

#include <algorithm>

#include "control/definitions/identity.h"

namespace crossfade {

std::string McpSessions::begin(const std::string& token, Clock::time_point now) {
  std::string id = make_uuid();
  const std::lock_guard held(mutex_);
  make_room(now);
  sessions_[id] = {token, now};
  return id;
}

void McpSessions::make_room(Clock::time_point now) {
  std::erase_if(sessions_,
                [now](const auto& one) { return now - one.second.used > kMcpSessionIdle; });
  if (sessions_.size() < kMcpSessionsMax) return;
  sessions_.erase(std::min_element(
      sessions_.begin(), sessions_.end(),
      [](const auto& one, const auto& other) { return one.second.used < other.second.used; }));
  changed_.notify_all();
}

bool McpSessions::use(const std::string& id, const std::string& token, Clock::time_point now) {
  const std::lock_guard held(mutex_);
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || found->second.token != token) return false;
  if (now - found->second.used > kMcpSessionIdle) {
    sessions_.erase(found);
    return false;
  }
  found->second.used = now;
  return true;
}

void McpSessions::end(const std::string& id) {
  const std::lock_guard held(mutex_);
  sessions_.erase(id);
  changed_.notify_all();
}

bool McpSessions::open_stream(const std::string& token) {
  const std::lock_guard held(mutex_);
  std::size_t open = 0;
  for (const auto& [name, streams] : streams_) open += streams;
  const auto found = streams_.find(token);
  const std::size_t own = found == streams_.end() ? 0 : found->second;
  if (closed_ || open == kMcpStreamsMax || own == kMcpStreamsOfTokenMax) return false;
  ++streams_[token];
  return true;
}

void McpSessions::close_stream(const std::string& token) {
  const std::lock_guard held(mutex_);
  if (--streams_.at(token) == 0) streams_.erase(token);
}

bool McpSessions::wait(const std::string& id, std::chrono::milliseconds most) {
  std::unique_lock held(mutex_);
  const auto over = [&] { return closed_ || sessions_.find(id) == sessions_.end(); };
  if (changed_.wait_for(held, most, over)) return false;
  sessions_.at(id).used = Clock::now();
  return true;
}

void McpSessions::close() {
  const std::lock_guard held(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace crossfade
