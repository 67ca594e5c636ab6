// Who has a session, and for how long.
#include "control/mcp/sessions.h"

#include <doctest/doctest.h>

namespace crossfade {

TEST_CASE("a session: it is its token's, until it ends or nobody has used it for long") {
  McpSessions sessions;
  auto now = McpSessions::Clock::now();
  const std::string id = sessions.begin("ann", now);
  CHECK(sessions.use(id, "ann", now));
  CHECK_FALSE(sessions.use(id, "bob", now));
  now += kMcpSessionIdle;
  CHECK(sessions.use(id, "ann", now));  // and is used again from here
  now += kMcpSessionIdle;
  CHECK(sessions.use(id, "ann", now));
  now += kMcpSessionIdle + std::chrono::seconds(1);
  CHECK_FALSE(sessions.use(id, "ann", now));
  const std::string other = sessions.begin("ann", now);
  sessions.end(other);
  CHECK_FALSE(sessions.use(other, "ann", now));
}

TEST_CASE("streams: there are at most so many, and none once all are ending") {
  McpSessions sessions;
  const std::string id = sessions.begin("ann", McpSessions::Clock::now());
  for (const char* token : {"ann", "bob"}) {
    for (std::size_t count = 0; count < kMcpStreamsOfTokenMax; ++count) {
      CHECK(sessions.open_stream(token));
    }
    CHECK_FALSE(sessions.open_stream(token));
  }
  static_assert(2 * kMcpStreamsOfTokenMax == kMcpStreamsMax);
  CHECK_FALSE(sessions.open_stream("cid"));
  sessions.close_stream("bob");
  CHECK(sessions.open_stream("cid"));
  CHECK(sessions.wait(id, std::chrono::milliseconds(1)));
  sessions.close();
  CHECK_FALSE(sessions.wait(id, std::chrono::hours(1)));
  sessions.close_stream("ann");
  CHECK_FALSE(sessions.open_stream("ann"));
}

}  // namespace crossfade
