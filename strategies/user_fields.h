// Who the user of a Redis request is, where a field of the templates of an endpoint's apis says it.
//
// The first template that matches has the request, as for apis: one without the field that comes
// before others takes the user from them. Immutable; shared by all loops.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/redis/request.h"
#include "protocols/redis/template_set.h"

namespace crossfade {

class UserFields {
 public:
  //   queries  of templates, as they are defined and in the order in which they are asked
  //   cost     some microseconds for each
  UserFields(std::string name, std::vector<std::string> queries);

  // The value of the field in a request that has arrived whole; nullopt: it has none. A view into
  // `bytes`.
  //   bytes  as last given to cutter.advance()
  //   cost   as TemplateSet::match(): no allocation
  std::optional<std::string_view> user_of(const redis::RequestCutter& cutter,
                                          std::string_view bytes) const;

  const std::string& name() const { return name_; }
  const std::vector<std::string>& queries() const { return queries_; }

 private:
  std::string name_;
  std::vector<std::string> queries_;
  redis::TemplateSet templates_;  // by the same numbers
};

}  // namespace crossfade
