// Networks: which addresses are in them, and which of several counts.
#include "strategies/networks.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace crossfade {
namespace {

ClientAddress at(const std::string& text) {
  ClientAddress address{};
  const std::string mapped = text.find(':') == text.npos ? "::ffff:" + text : text;
  REQUIRE_MESSAGE(inet_pton(AF_INET6, mapped.c_str(), address.data()) == 1, text);
  return address;
}

Network network(const std::string& text, unsigned prefix) {
  const unsigned bits = text.find(':') == text.npos ? prefix + 96 : prefix;
  return {at(text), static_cast<std::uint8_t>(bits)};
}

TEST_CASE("network: it has exactly the addresses that begin with its bits") {
  for (unsigned prefix = 0; prefix <= 128; ++prefix) {
    CAPTURE(prefix);
    ClientAddress base{};
    std::ranges::fill(base, std::uint8_t{0xa5});
    Network one{base, static_cast<std::uint8_t>(prefix)};
    for (unsigned bit = 0; bit < 128; ++bit) {
      ClientAddress other = base;
      other[bit / 8] ^= static_cast<std::uint8_t>(0x80 >> (bit % 8));
      CHECK(contains(one, other) == (bit >= prefix));
    }
    CHECK(contains(one, base));
  }
}

TEST_CASE("network: IPv4 is a part of IPv6, and no more") {
  CHECK(contains(network("10.1.0.0", 16), at("10.1.255.255")));
  CHECK_FALSE(contains(network("10.1.0.0", 16), at("10.2.0.0")));
  CHECK_FALSE(contains(network("0.0.0.0", 0), at("::1")));
  CHECK(contains(network("0.0.0.0", 0), at("255.255.255.255")));
  CHECK(contains(network("::", 0), at("10.0.0.1")));
}

TEST_CASE("networks: the narrowest one counts, in any order; in none nobody knows") {
  std::vector<RegionNetwork> networks{{network("10.0.0.0", 8), true},
                                      {network("10.1.0.0", 16), false},
                                      {network("10.1.2.0", 24), true},
                                      {network("fd00::", 8), false}};
  for (int turn = 0; turn < 24; ++turn) {
    CHECK(region_migrated(networks, at("10.9.9.9")) == true);
    CHECK(region_migrated(networks, at("10.1.9.9")) == false);
    CHECK(region_migrated(networks, at("10.1.2.9")) == true);
    CHECK(region_migrated(networks, at("fd12::1")) == false);
    CHECK(region_migrated(networks, at("11.0.0.1")) == std::nullopt);
    std::ranges::next_permutation(networks, [](const RegionNetwork& a, const RegionNetwork& b) {
      return a.network.address < b.network.address;
    });
  }
  CHECK(region_migrated({}, at("10.0.0.1")) == std::nullopt);
}

}  // namespace
}  // namespace crossfade
