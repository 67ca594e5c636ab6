// Which of many patterns a key fits: the first one, whatever else does.
//
// Found by what the key begins and ends with: the cost hangs on the key and on how many patterns
// nearly fit it, not on how many there are. Immutable once built; shared by all loops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "protocols/base/text_tree.h"
#include "protocols/redis/template.h"

namespace crossfade::redis {

class KeyPatterns {
 public:
  // In the order in which they are asked.
  explicit KeyPatterns(std::vector<Template::Argument> patterns);

  // The number of the first that the key fits.
  //   cost  no allocation
  std::optional<std::size_t> match(std::string_view key) const;

 private:
  std::vector<Template::Argument> patterns_;
  TextTree prefixes_;                             // their numbers are those of suffixes_
  std::vector<TextTree> suffixes_;                // written backwards; of ends_
  std::vector<std::vector<std::uint32_t>> ends_;  // patterns of one prefix and suffix, ascending
};

}  // namespace crossfade::redis
