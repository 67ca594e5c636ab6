// Patterns by prefix, then by suffix.
#include "protocols/redis/key_patterns.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "protocols/redis/argument.h"

namespace crossfade::redis {

KeyPatterns::KeyPatterns(std::vector<Template::Argument> patterns)
    : patterns_(std::move(patterns)) {
  std::map<std::string, std::map<std::string, std::vector<std::uint32_t>>> found;
  for (std::uint32_t i = 0; i < patterns_.size(); ++i) {
    std::string backwards(suffix_of(patterns_[i]));
    std::ranges::reverse(backwards);
    found[std::string(prefix_of(patterns_[i]))][backwards].push_back(i);
  }
  std::vector<TextTree::Held> prefixes;
  for (auto& [prefix, by_suffix] : found) {
    std::vector<TextTree::Held> held;
    for (auto& [suffix, members] : by_suffix) {
      held.emplace_back(suffix, static_cast<std::uint32_t>(ends_.size()));
      ends_.push_back(std::move(members));
    }
    prefixes.emplace_back(prefix, static_cast<std::uint32_t>(suffixes_.size()));
    suffixes_.emplace_back(std::move(held));
  }
  prefixes_ = TextTree(std::move(prefixes));
}

std::optional<std::size_t> KeyPatterns::match(std::string_view key) const {
  std::size_t best = patterns_.size();
  const auto ignore = [](std::size_t, std::string_view) {};
  const auto try_end = [&](std::uint32_t end) {
    for (const std::uint32_t number : ends_[end]) {
      if (number >= best) return;
      if (split(patterns_[number], key, ignore)) best = number;
    }
  };
  const auto forwards = [&](std::size_t i) { return key[i]; };
  const auto backwards = [&](std::size_t i) { return key[key.size() - 1 - i]; };
  prefixes_.walk(key.size(), forwards, [&](std::uint32_t prefix) {
    suffixes_[prefix].walk(key.size(), backwards, try_end);
  });
  if (best == patterns_.size()) return std::nullopt;
  return best;
}

}  // namespace crossfade::redis
