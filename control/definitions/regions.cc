// Networks from text and back.
#include "control/definitions/regions.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "control/json/fields.h"

namespace crossfade {

namespace {

constexpr unsigned kMapped = 96;  // bits before an IPv4 address in IPv6
constexpr unsigned kBits = 128;

bool is_mapped(const Network& network) {
  const ClientAddress& address = network.address;
  return network.prefix >= kMapped && address[10] == 0xff && address[11] == 0xff &&
         std::all_of(address.begin(), address.begin() + 10, [](auto byte) { return byte == 0; });
}

std::optional<Network> parse_network(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::string name = text.substr(0, slash);
  const bool v4 = name.find(':') == name.npos;
  Network network;
  if (inet_pton(AF_INET6, (v4 ? "::ffff:" + name : name).c_str(), network.address.data()) != 1) {
    return std::nullopt;
  }
  const unsigned before = v4 ? kMapped : 0;
  unsigned bits = kBits - before;
  if (slash != text.npos) {
    const std::string_view prefix = std::string_view(text).substr(slash + 1);
    unsigned given = 0;
    const auto [end, error] = std::from_chars(prefix.data(), prefix.data() + prefix.size(), given);
    const bool whole = error == std::errc() && end == prefix.data() + prefix.size();
    if (!whole || given > bits) return std::nullopt;
    bits = given;
  }
  network.prefix = static_cast<std::uint8_t>(before + bits);
  return network;
}

// What is behind the prefix would be ignored, and is a slip of whoever wrote it.
bool ends_at_prefix(const Network& network) {
  for (unsigned bit = network.prefix; bit < kBits; ++bit) {
    if ((network.address[bit / 8] >> (7 - bit % 8) & 1) != 0) return false;
  }
  return true;
}

std::string text_of(const Network& network) {
  char name[INET6_ADDRSTRLEN] = {};
  const bool v4 = is_mapped(network);
  inet_ntop(v4 ? AF_INET : AF_INET6, network.address.data() + (v4 ? 12 : 0), name, sizeof name);
  return std::string(name) + "/" + std::to_string(network.prefix - (v4 ? kMapped : 0));
}

std::optional<Error> read_network(const Json& json, const std::string& path, Network& into) {
  const std::string* text = json.string();
  const auto network = text == nullptr ? std::nullopt : parse_network(*text);
  if (!network) return error_at(path, "must be a network, as \"10.1.0.0/16\" or \"fd00:1::/32\"");
  if (!ends_at_prefix(*network)) {
    return error_at(path, "has bits behind its prefix: which network is meant is not clear");
  }
  into = *network;
  return std::nullopt;
}

}  // namespace

Result<Regions> read_regions(const Json& json, const std::string& path) {
  Regions regions;
  if (json.is_null()) return regions;
  if (json.members() == nullptr) return error_at(path, "must be an object of regions");
  std::vector<Network> all;
  for (const auto& [name, networks] : *json.members()) {
    const std::string here = join_path(path, name);
    if (name.empty() || name.size() > kRegionMax) {
      return error_at(path, "must have names of 1 to 128 bytes");
    }
    if (networks.elements() == nullptr) return error_at(here, "must be an array of networks");
    std::vector<Network>& own = regions[name];
    for (std::size_t i = 0; i < networks.elements()->size(); ++i) {
      Network network;
      const std::string at = join_path(here, i);
      if (auto error = read_network((*networks.elements())[i], at, network)) return *error;
      if (std::ranges::find(all, network) != all.end()) return error_at(at, "is named twice");
      if (all.size() == kNetworksMax) return error_at(path, "must have at most 1000 networks");
      all.push_back(network);
      own.push_back(network);
    }
  }
  return regions;
}

Json render(const Regions& regions) {
  Json rendered = Json::object({});
  for (const auto& [name, networks] : regions) {
    Json texts = Json::array();
    for (const Network& network : networks) texts.push(text_of(network));
    rendered.set(name, std::move(texts));
  }
  return rendered;
}

}  // namespace crossfade
