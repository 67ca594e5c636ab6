// Reads the fields of one message, in order, from bytes that may be anything.
//
// A read beyond the end fails, and so does every read after it: a view asks ok() once, at its end.
// Nothing is copied; text and bytes point into the message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace crossfade::postgres {

// Big-endian, from 2 or 4 bytes that are there.
inline std::uint16_t read_u16(const char* at) {
  const auto byte = [at](int i) {
    return static_cast<unsigned>(static_cast<unsigned char>(at[i]));
  };
  return static_cast<std::uint16_t>(byte(0) << 8 | byte(1));
}
inline std::uint32_t read_u32(const char* at) {
  const auto byte = [at](int i) { return std::uint32_t{static_cast<unsigned char>(at[i])}; };
  return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
}

class Fields {
 public:
  explicit Fields(std::string_view bytes) : left_(bytes) {}

  // Up to the next NUL byte, which is taken, too.
  std::string_view text() {
    if (left_.starts_with('\0')) {  // most names are empty
      left_.remove_prefix(1);
      return {};
    }
    const std::size_t end = left_.find('\0');
    if (end == std::string_view::npos) return fail();
    const std::string_view found = left_.substr(0, end);
    left_.remove_prefix(end + 1);
    return found;
  }
  std::string_view bytes(std::size_t size) {
    if (left_.size() < size) return fail();
    const std::string_view found = left_.substr(0, size);
    left_.remove_prefix(size);
    return found;
  }
  char byte() {
    const std::string_view found = bytes(1);
    return found.empty() ? '\0' : found[0];
  }
  std::uint16_t u16() {
    const std::string_view found = bytes(2);
    return found.empty() ? std::uint16_t{0} : read_u16(found.data());
  }
  std::uint32_t u32() {
    const std::string_view found = bytes(4);
    return found.empty() ? 0 : read_u32(found.data());
  }
  std::string_view rest() { return bytes(left_.size()); }

  bool ok() const { return ok_; }
  // Everything was there, and nothing more.
  bool done() const { return ok_ && left_.empty(); }

 private:
  std::string_view fail() {
    left_ = {};
    ok_ = false;
    return {};
  }

  std::string_view left_;
  bool ok_ = true;
};

}  // namespace crossfade::postgres
