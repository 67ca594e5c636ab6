// Kept pairs: what fits is kept, what does not is cut and said to be, and memory is used again.
#include "proxy/redis/kept_pair.h"

#include <doctest/doctest.h>

namespace crossfade::redis {

namespace {

constexpr std::size_t kOld = 0;
constexpr std::size_t kNew = 1;

CompareSettings limits(std::uint32_t reply_max, std::uint32_t kept_max) {
  CompareSettings settings;
  settings.compare_reply_max = reply_max;
  settings.compare_kept_max = kept_max;
  return settings;
}

}  // namespace

TEST_CASE("kept pair: replies are kept side by side, in any pieces") {
  KeptPairs pairs(limits(64, 1'000));
  KeptPair& pair = *pairs.get();
  pairs.keep_request(pair, "PING\r\n");
  pairs.keep_reply(pair, Side::New, "+PO");
  pairs.keep_reply(pair, Side::Old, "-ERR\r\n");
  pairs.keep_reply(pair, Side::New, "NG\r\n");
  CHECK(pair.request == "PING\r\n");
  CHECK(pair.replies[kOld] == "-ERR\r\n");
  CHECK(pair.replies[kNew] == "+PONG\r\n");
  CHECK_FALSE(pair.truncated);
}

TEST_CASE("kept pair: a reply at the limit is whole, one above it is cut and says so") {
  KeptPairs pairs(limits(64, 1'000));
  KeptPair& pair = *pairs.get();
  pairs.keep_request(pair, std::string(64, 'r'));
  pairs.keep_reply(pair, Side::Old, std::string(64, 'o'));
  CHECK(pair.request.size() == 64);
  CHECK(pair.replies[kOld].size() == 64);
  CHECK_FALSE(pair.truncated);
  pairs.keep_reply(pair, Side::Old, "o");
  CHECK(pair.replies[kOld].size() == 64);
  CHECK(pair.truncated);
}

TEST_CASE("kept pair: of a request that is too long nothing is kept") {
  KeptPairs pairs(limits(64, 1'000));
  KeptPair& pair = *pairs.get();
  pairs.keep_request(pair, std::string(65, 'r'));
  CHECK(pair.request.empty());
  CHECK_FALSE(pair.truncated);
}

TEST_CASE("kept pair: all together stay within their limit, whatever is asked of them") {
  constexpr std::size_t kMax = 20'000;
  KeptPairs pairs(limits(1'000, kMax));
  const auto fill = [&] {
    std::vector<KeptPair*> taken;
    while (KeptPair* const pair = pairs.get()) {
      pairs.keep_reply(*pair, Side::Old, std::string(900, 'o'));
      CHECK(pair->truncated == pair->replies[kOld].empty());
      taken.push_back(pair);
    }
    std::size_t whole = 0;
    for (KeptPair* const pair : taken) whole += pair->truncated ? 0 : 1;
    // What a string holds without taking memory is inside of the pair.
    const std::size_t outside = 900 - std::string().capacity();
    CHECK(taken.size() * sizeof(KeptPair) + whole * outside <= kMax);
    for (KeptPair* const pair : taken) pairs.put(pair);
    return whole;
  };
  const std::size_t whole = fill();
  CHECK(whole > kMax / 2 / (900 + sizeof(KeptPair)));
  CHECK(fill() == whole);  // given back, they have room again
}

TEST_CASE("kept pair: one that is used again is clean, and has its memory") {
  KeptPairs pairs(limits(1'000, 10'000));
  KeptPair* const first = pairs.get();
  first->route = std::make_shared<const InterlayRoute>();
  first->db = 3;
  pairs.keep_request(*first, std::string(500, 'r'));
  pairs.keep_reply(*first, Side::New, std::string(2'000, 'n'));
  const char* const memory = first->request.data();
  pairs.put(first);
  KeptPair* const again = pairs.get();
  REQUIRE(again == first);
  CHECK(again->route == nullptr);
  CHECK(again->request.empty());
  CHECK(again->replies[kNew].empty());
  CHECK_FALSE(again->truncated);
  pairs.keep_request(*again, std::string(500, 'r'));
  CHECK(again->request.data() == memory);
}

}  // namespace crossfade::redis
