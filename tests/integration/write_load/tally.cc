// JSON by hand: the tests must not judge the product's writer by itself.
#include "tests/integration/write_load/tally.h"

#include <algorithm>
#include <cstdio>

namespace crossfade::write_load {
namespace {

constexpr std::size_t kTextsMax = 100;
constexpr std::size_t kTextBytes = 110;
constexpr std::size_t kTroublesMax = 10;
constexpr std::string_view kOurs = "ERR crossfade:";  // the sidecar's own errors, apart from ERR

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c < ' ' || c > '~' ? '.' : c);
  }
  return out + '"';
}

// An error's text without the numbers of keys and the digests of scripts in it.
std::string in_general(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, std::min(text.find(" script: "), kTextBytes))) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) {
      out.push_back(c);
    } else if (!out.ends_with('#')) {
      out.push_back('#');
    }
  }
  return out;
}

template <class Map>
std::string object(const Map& map) {
  std::string out = "{";
  for (const auto& [name, count] : map) {
    if (out.size() > 1) out += ",";
    out += quoted(name) + ":" + std::to_string(count);
  }
  return out + "}";
}

std::uint32_t quantile(std::vector<std::uint32_t>& values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

}  // namespace

void Tally::note_error(std::string_view text) {
  const std::string_view word = text.starts_with(kOurs) ? kOurs : text.substr(0, text.find(' '));
  ++errors_[std::string(word)];
  std::string sample = in_general(text);
  if (texts_.size() < kTextsMax || texts_.contains(sample)) ++texts_[std::move(sample)];
}

void Tally::note_trouble(std::string what) {
  if (troubles_.size() < kTroublesMax) troubles_.push_back(std::move(what));
}

std::string Tally::json(double seconds) {
  std::string troubles;
  for (const std::string& trouble : troubles_) {
    troubles += (troubles.empty() ? "" : ",") + quoted(trouble);
  }
  char numbers[400];
  std::snprintf(
      numbers, sizeof numbers,
      "\"writes\":%llu,\"seconds\":%.2f,\"rate\":%.0f,\"p50_us\":%u,\"p99_us\":%u,"
      "\"lost\":%llu,\"disorder\":%llu,\"transactions\":%llu,\"conflicts\":%llu",
      static_cast<unsigned long long>(writes), seconds, static_cast<double>(writes) / seconds,
      quantile(latencies_, 0.5), quantile(latencies_, 0.99), static_cast<unsigned long long>(lost),
      static_cast<unsigned long long>(disorder), static_cast<unsigned long long>(transactions),
      static_cast<unsigned long long>(conflicts));
  return std::string("{") + numbers + ",\"errors\":" + object(errors_) +
         ",\"texts\":" + object(texts_) + ",\"trouble\":[" + troubles + "]}";
}

std::string to_json(const std::vector<const Register*>& registers) {
  constexpr const char* kKinds[] = {"string", "hash", "stream"};
  std::string out = "[";
  for (const Register* one : registers) {
    if (out.size() > 1) out += ",\n";
    out += "{\"key\":" + quoted(one->key) + ",\"kind\":\"" +
           kKinds[static_cast<std::size_t>(one->kind)] + "\",\"db\":" + std::to_string(one->db) +
           ",\"acked\":" + std::to_string(one->acked) + ",\"acks\":" + std::to_string(one->acks) +
           ",\"sent\":" + std::to_string(one->sent) + "}";
  }
  return out + "]\n";
}

}  // namespace crossfade::write_load
