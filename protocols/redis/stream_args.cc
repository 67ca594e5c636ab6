// XADD key [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT count]] id field value …
// XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT count]
#include "protocols/redis/stream_args.h"

#include <algorithm>

#include "protocols/redis/word.h"

namespace crossfade::redis {

StreamArgs stream_args(std::span<const std::string_view> args) {
  constexpr std::size_t kOptions = 2;
  StreamArgs found;
  for (std::size_t i = kOptions; i < args.size(); ++i) {
    if (is_word(args[i], "MAXLEN") || is_word(args[i], "MINID")) {
      found.trim = i++;
      found.approximate = i < args.size() && args[i] == "~";
      if (i < args.size() && (args[i] == "~" || args[i] == "=")) ++i;
      found.threshold = i;
    } else if (is_word(args[i], "LIMIT")) {
      ++i;
    } else if (!is_word(args[i], "NOMKSTREAM")) {
      found.id = i;
      break;
    }
  }
  return found;
}

bool is_full_id(std::string_view id) {
  const std::size_t dash = id.find('-');
  if (dash == id.npos) return false;
  const auto digits = [](std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  return digits(id.substr(0, dash)) && digits(id.substr(dash + 1));
}

}  // namespace crossfade::redis
