// The apis whose templates a set has, by numbers: what is counted by api is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade {

class ApiNames {
 public:
  // Adds the next entry of the set, by the id of its api.
  void add(const std::string& api) {
    const auto known = number_of(api);
    entries_.push_back(known.value_or(static_cast<std::uint32_t>(names_.size())));
    if (!known) names_.push_back(api);
  }
  // The api of that entry.
  std::uint32_t of_entry(std::uint32_t entry) const { return entries_[entry]; }
  const std::vector<std::string>& names() const { return names_; }
  std::optional<std::uint32_t> number_of(std::string_view api) const {
    const auto found = std::ranges::find(names_, api);
    if (found == names_.end()) return std::nullopt;
    return static_cast<std::uint32_t>(found - names_.begin());
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::uint32_t> entries_;
};

struct InterlayRoute;

// Those that a route goes by, or null: it goes by none.
const ApiNames* names_of(const InterlayRoute& route);

}  // namespace crossfade
