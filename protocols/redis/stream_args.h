// Where the options of XADD and XTRIM end, and which of them leave the server a choice.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace crossfade::redis {

struct StreamArgs {
  std::size_t id = 0;         // where XADD's id is; 0: it has none, or it has not arrived
  std::size_t trim = 0;       // where MAXLEN or MINID is; 0: nothing is trimmed
  std::size_t threshold = 0;  // ... and where its number is
  bool approximate = false;   // "~": the server trims as far as it finds cheap
};

// Reads them in the order in which the server does; `args` may be the beginning of a request.
StreamArgs stream_args(std::span<const std::string_view> args);

// True for "ms-seq", which leaves the server no choice; "*", "ms-*" and what is no id do.
bool is_full_id(std::string_view id);

}  // namespace crossfade::redis
