// What is told of a dual write by its two legs' replies.
#include "proxy/redis/dual_write.h"

#include <doctest/doctest.h>

#include "protocols/redis/command.h"

namespace crossfade::redis {
namespace {

TEST_CASE("dual write: of a transaction without what was refused the rest is compared") {
  const auto told_otherwise = [](std::string first, std::string second) {
    DualWrite dual;
    dual.way = DualWrite::Way::Transaction;
    dual.queued.resize(3);
    dual.reply = std::move(first);
    dual.outcome = std::move(second);
    return dual.told_otherwise();
  };
  CHECK_FALSE(told_otherwise("*3\r\n+OK\r\n-ERR no\r\n:1\r\n", "*2\r\n+OK\r\n:1\r\n"));
  CHECK_FALSE(told_otherwise("*3\r\n-ERR no\r\n-ERR no\r\n:1\r\n", "*1\r\n:1\r\n"));
  CHECK(told_otherwise("*3\r\n+OK\r\n-ERR no\r\n:1\r\n", "*2\r\n+OK\r\n:2\r\n"));
  CHECK(told_otherwise("*3\r\n+OK\r\n-ERR no\r\n:1\r\n", "*1\r\n+OK\r\n"));
  CHECK(told_otherwise("*3\r\n+OK\r\n-ERR no\r\n-ERR no\r\n", "*2\r\n+OK\r\n:1\r\n"));
  CHECK(told_otherwise("*2\r\n+OK\r\n:1\r\n", "*2\r\n+OK\r\n:1\r\n"));
  CHECK(told_otherwise("*3\r\n+OK\r\n-ERR no\r\n:1\r\n", ""));
}

}  // namespace
}  // namespace crossfade::redis
