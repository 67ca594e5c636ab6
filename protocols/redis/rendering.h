// A request of one template written anew as one of another, with the values of its fields.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/redis/request.h"
#include "protocols/redis/template.h"

namespace crossfade::redis {

class Rendering {
 public:
  // Which field of the former template each of the new one's is; what is not named is left empty.
  using Fields = std::vector<std::pair<std::string, std::string>>;
  Rendering(Template from, const Template& to, const Fields& fields);

  // Writes the request over `out`, as an array of bulks.
  //   cutter, bytes  of a whole request that matches the former template
  //   values         scratch
  //   cost           no allocation once the scratch has grown
  void render(const RequestCutter& cutter, std::string_view bytes,
              std::vector<std::string_view>& values, std::string& out) const;

 private:
  struct Piece {
    std::string text;                  // of a literal
    std::optional<std::size_t> field;  // of from_
  };
  Template from_;
  std::vector<std::vector<Piece>> arguments_;
};

}  // namespace crossfade::redis
