// What the fuzz targets share: choosing how bytes arrive, and saying that a property broke.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace crossfade::fuzz {

// Stops the run with the property's name; libFuzzer then keeps the input.
inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "broken property: %s\n", property);
  std::abort();
}

// The first byte of an input says how many of the following ones are sizes of pieces; the rest is
// what arrives.
struct Input {
  std::vector<std::size_t> pieces;
  std::string_view bytes;
};

inline Input read_input(const std::uint8_t* data, std::size_t size) {
  Input input;
  std::string_view left(reinterpret_cast<const char*>(data), size);
  std::size_t pieces = left.empty() ? 0 : static_cast<unsigned char>(left[0]) % 8;
  if (!left.empty()) left.remove_prefix(1);
  for (; pieces > 0 && !left.empty(); --pieces) {
    input.pieces.push_back(static_cast<std::size_t>(static_cast<unsigned char>(left[0])) + 1);
    left.remove_prefix(1);
  }
  if (input.pieces.empty()) input.pieces.push_back(1);
  input.bytes = left;
  return input;
}

// Hands `bytes` to `take` in those pieces (the last one repeats), each in memory of its own so that
// reading beyond it is seen; until all is handed over or `take` says false.
template <class Take>
void in_pieces(const Input& input, Take&& take) {
  std::string_view left = input.bytes;
  for (std::size_t piece = 0; !left.empty(); ++piece) {
    const std::size_t wanted = input.pieces[std::min(piece, input.pieces.size() - 1)];
    const std::string_view part = left.substr(0, wanted);
    const std::vector<char> own(part.begin(), part.end());
    if (!take(std::string_view(own.data(), own.size()))) return;
    left.remove_prefix(part.size());
  }
}

}  // namespace crossfade::fuzz
