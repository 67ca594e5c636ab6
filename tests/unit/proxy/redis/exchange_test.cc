// Exchanges: queues keep their order, the pool hands out clean ones, replies hash alike in any
// pieces.
#include "proxy/redis/exchange.h"

#include <doctest/doctest.h>

namespace crossfade::redis {

TEST_CASE("exchange: one that stands in three queues leaves each on its own") {
  ExchangePool pool;
  ReplyQueue queue;
  OwedQueue old_owed(Side::Old);
  OwedQueue new_owed(Side::New);
  Exchange* first = pool.get();
  Exchange* second = pool.get();
  for (Exchange* exchange : {first, second}) {
    queue.push(exchange);
    old_owed.push(exchange);
    new_owed.push(exchange);
  }
  CHECK(new_owed.pop() == first);
  CHECK(first->owed == bit(Side::Old));
  CHECK(queue.pop() == first);
  CHECK(old_owed.pop() == first);
  CHECK(first->owed == 0);
  CHECK(old_owed.front() == second);
  CHECK(new_owed.front() == second);
  CHECK(queue.size() == 1);
  CHECK(queue.pop() == second);
  old_owed.pop();
  new_owed.pop();
  CHECK((queue.empty() && old_owed.empty() && new_owed.empty()));
}

TEST_CASE("exchange: a used one comes back clean") {
  ExchangePool pool;
  Exchange* used = pool.get();
  used->special = true;
  used->held = "reply";
  used->request = std::string(100'000, 'x');
  used->second = Second::Copy;
  used->change = std::make_unique<StateChange>();
  used->hash[0].add("abc", true);
  pool.put(used);
  Exchange* again = pool.get();
  CHECK(again == used);
  CHECK(again->held.empty());
  CHECK(again->request.empty());
  CHECK(again->request.capacity() < 100'000);
  CHECK(again->second == Second::Nothing);
  CHECK(again->count == 1);
  CHECK_FALSE(again->change);
  CHECK_FALSE(again->hash[0].done());
  CHECK_FALSE(bool{again->special});
  pool.put(again);
}

TEST_CASE("exchange: a reply hashes alike in one piece and cut anywhere") {
  const std::string reply = "*2\r\n$3\r\nfoo\r\n$5\r\nhello\r\n";
  ReplyHash whole;
  whole.add(reply, true);
  for (std::size_t cut = 0; cut <= reply.size(); ++cut) {
    ReplyHash pieces;
    pieces.add(std::string_view(reply).substr(0, cut), false);
    CHECK_FALSE(pieces.done());
    pieces.add(std::string_view(reply).substr(cut), true);
    CHECK(pieces.value() == whole.value());
  }
}

}  // namespace crossfade::redis
