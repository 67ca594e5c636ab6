// Leave to write copies: who has it, and who waits for whom.
#include "proxy/copy_leave.h"

#include <doctest/doctest.h>

#include <thread>

namespace crossfade {

using std::chrono::milliseconds;

TEST_CASE("copy leave: only migrations that write to both sides have it") {
  CopyLeave leave;
  CHECK(leave.take("m") == nullptr);
  CHECK(leave.narrow({"m"}, milliseconds(0)));
  CHECK(leave.take("m") == nullptr);  // not before the table is in force
  leave.widen({"m", "n"});
  CHECK(leave.take("m") != nullptr);
  CHECK(leave.narrow({"n"}, milliseconds(0)));
  CHECK(leave.take("m") == nullptr);
  CHECK(leave.take("n") != nullptr);
}

TEST_CASE("copy leave: it is not taken away in the midst of a copy") {
  CopyLeave leave;
  leave.widen({"m", "n"});
  auto copy = leave.take("m");
  REQUIRE(copy != nullptr);
  CHECK_FALSE(leave.narrow({"n"}, milliseconds(5)));
  CHECK(leave.take("m") != nullptr);            // all is as it was
  CHECK(leave.narrow({"m"}, milliseconds(0)));  // its own stays
  leave.widen({"m", "n"});
  std::thread over([&] { copy.reset(); });
  CHECK(leave.narrow({}, milliseconds(20'000)));
  over.join();
  CHECK(leave.take("m") == nullptr);
}

}  // namespace crossfade
