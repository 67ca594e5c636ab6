// Leave to write copies: who has it, and who waits for whom.
#include "proxy/copy_leave.h"

#include <doctest/doctest.h>

#include <thread>

namespace crossfade {

using std::chrono::milliseconds;

TEST_CASE("copy leave: only migrations that write to both sides have it") {
  CopyLeave leave;
  CHECK(leave.take("m", Side::New) == nullptr);
  CHECK(leave.narrow({"m"}, {}, milliseconds(0)));
  CHECK(leave.take("m", Side::New) == nullptr);  // not before the table is in force
  leave.widen({"m", "n"});
  CHECK(leave.take("m", Side::New) != nullptr);
  CHECK(leave.narrow({"n"}, {{"m", Side::Old}, {"m", Side::New}}, milliseconds(0)));
  CHECK(leave.take("m", Side::New) == nullptr);
  CHECK(leave.take("n", Side::New) != nullptr);
}

TEST_CASE("copy leave: it is not taken away in the midst of a copy that would harm") {
  CopyLeave leave;
  leave.widen({"m", "n"});
  auto copy = leave.take("m", Side::New);
  REQUIRE(copy != nullptr);
  CHECK_FALSE(leave.narrow({"n"}, {{"m", Side::Old}, {"m", Side::New}}, milliseconds(5)));
  CHECK(leave.take("m", Side::New) != nullptr);                     // all is as it was
  CHECK(leave.narrow({"n"}, {{"m", Side::Old}}, milliseconds(0)));  // nobody goes to new alone
  CHECK(leave.take("m", Side::New) == nullptr);
  leave.widen({"m", "n"});
  std::thread over([&] { copy.reset(); });
  CHECK(leave.narrow({}, {{"m", Side::New}}, milliseconds(20'000)));
  over.join();
  CHECK(leave.take("m", Side::New) == nullptr);
}

}  // namespace crossfade
