// Which requests of an endpoint belong to an api that moves: the templates of all its apis, in the
// order in which they are asked.
//
// The first template that matches has the request, whether it moves or not: those that do not move
// stand here because they come before others that do. Immutable; shared by all loops. Redis.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocols/redis/rendering.h"
#include "protocols/redis/request.h"
#include "protocols/redis/template_set.h"

namespace crossfade {

class ApiSet {
 public:
  struct Entry {
    std::string query;  // of a template, as it is defined: it is known to be one
    bool moves = false;
    // By keys: the template of new that its requests are written anew by, and which of their fields
    // each of its own is. Empty: they are passed as they are.
    std::string becomes = {};
    redis::Rendering::Fields fields = {};

    bool operator==(const Entry&) const = default;
  };
  //   cost  some microseconds for each entry
  explicit ApiSet(std::vector<Entry> entries);

  // True when a request, as the cutter has it, belongs to an api that moves. One of which too
  // little has arrived to tell belongs to none.
  //   bytes   as last given to cutter.advance()
  //   cost    as TemplateSet::match(): no allocation
  bool moves(const redis::RequestCutter& cutter, std::string_view bytes) const;

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
  redis::TemplateSet templates_;  // by the same numbers
};

}  // namespace crossfade
