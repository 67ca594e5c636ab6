// Requests and replies as bytes, for tests.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/redis/request.h"

namespace crossfade::redis {

using Words = std::vector<std::string>;

inline std::string bulk(std::string_view text) {
  std::string bytes = "$";
  return bytes.append(std::to_string(text.size())).append("\r\n").append(text).append("\r\n");
}

inline std::string resp(const Words& words) {
  std::string bytes = "*";
  bytes.append(std::to_string(words.size())).append("\r\n");
  for (const std::string& word : words) bytes.append(bulk(word));
  return bytes;
}

inline Words words_of(const RequestCutter& cutter, std::string_view bytes) {
  Words words;
  for (std::size_t i = 0; i < cutter.arg_count(); ++i) words.emplace_back(cutter.arg(i, bytes));
  return words;
}

// What a stream of bytes turns out to be, however it arrives.
struct Cutting {
  std::vector<Words> requests;
  std::vector<std::size_t> sizes;
  bool broken = false;
  std::size_t rest = 0;  // bytes that no request has taken

  bool operator==(const Cutting&) const = default;
};

// Cuts `bytes`, handing them over at the given sizes (the last one repeats).
inline Cutting cut_all(std::string_view bytes, const std::vector<std::size_t>& pieces) {
  Cutting cutting;
  RequestCutter cutter;
  std::size_t begin = 0, end = 0, piece = 0;
  while (end < bytes.size() && !cutting.broken) {
    end += std::min(pieces[std::min(piece++, pieces.size() - 1)], bytes.size() - end);
    while (begin < end && !cutting.broken) {
      // A copy of its own size: reading beyond what has arrived is seen by the address sanitizer.
      const std::vector<char> arrived(bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                                      bytes.begin() + static_cast<std::ptrdiff_t>(end));
      const std::string_view view(arrived.data(), arrived.size());
      const Cut cut = cutter.advance(view);
      if (const auto* request = std::get_if<Request>(&cut)) {
        cutting.requests.push_back(words_of(cutter, view));
        cutting.sizes.push_back(request->size);
        begin += request->size;
        cutter.reset();
        continue;
      }
      cutting.broken = std::holds_alternative<Broken>(cut);
      break;
    }
  }
  cutting.rest = bytes.size() - begin;
  return cutting;
}

inline Cutting cut_all(std::string_view bytes) { return cut_all(bytes, {bytes.size()}); }

}  // namespace crossfade::redis
