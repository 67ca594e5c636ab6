// Which requests of an endpoint belong to an api that moves: the templates of all its apis, in the
// order in which they are asked.
//
// The first template that matches has the request, whether it moves or not: those that do not move
// stand here because they come before others that do. Immutable; shared by all loops. Redis.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/redis/rendering.h"
#include "protocols/redis/request.h"
#include "protocols/redis/template_set.h"
#include "strategies/api_names.h"

namespace crossfade {

class ApiSet {
 public:
  struct Entry {
    std::string query;  // of a template, as it is defined: it is known to be one
    bool moves = false;
    // By keys, and of PostgreSQL: the template of new that it is written anew by, and which of
    // their fields each of its own is. Empty: its requests are passed as they are.
    std::string becomes = {};
    redis::Rendering::Fields fields = {};
    std::string api = {};  // whose it is, by its id

    bool operator==(const Entry&) const = default;
  };
  //   cost  some microseconds for each entry
  explicit ApiSet(std::vector<Entry> entries);

  // The entry that has a request, as the cutter has it. One of which too little has arrived to tell
  // belongs to none.
  //   bytes   as last given to cutter.advance()
  //   cost    as TemplateSet::match(): no allocation
  std::optional<std::uint32_t> entry_of(const redis::RequestCutter& cutter,
                                        std::string_view bytes) const;
  // True when that belongs to an api that moves.
  bool moves(std::uint32_t entry) const { return entries_[entry].moves; }
  bool moves(const redis::RequestCutter& cutter, std::string_view bytes) const {
    const auto entry = entry_of(cutter, bytes);
    return entry && moves(*entry);
  }

  const std::vector<Entry>& entries() const { return entries_; }
  const ApiNames& names() const { return names_; }

 private:
  std::vector<Entry> entries_;
  ApiNames names_;
  redis::TemplateSet templates_;  // by the same numbers
};

ApiNames names_of(const std::vector<ApiSet::Entry>& entries);

}  // namespace crossfade
