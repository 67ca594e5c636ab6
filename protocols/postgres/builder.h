// Appends one message, field by field; its length is known, and written, when the builder goes.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>

namespace crossfade::postgres {

class MessageBuilder {
 public:
  MessageBuilder(std::string& out, char type) : MessageBuilder((out.push_back(type), out)) {}
  // Without a type: a start-up packet.
  explicit MessageBuilder(std::string& out) : out_(out), begin_(out.size()) { u32(0); }
  ~MessageBuilder() {
    const std::size_t size = out_.size() - begin_;
    assert(size <= INT32_MAX);
    for (std::size_t i = 0; i < 4; ++i) {
      out_[begin_ + i] = static_cast<char>(size >> (24 - 8 * i) & 0xff);
    }
  }
  MessageBuilder(const MessageBuilder&) = delete;
  MessageBuilder& operator=(const MessageBuilder&) = delete;

  // text: no NUL byte in it; one is appended.
  MessageBuilder& text(std::string_view text) {
    assert(text.find('\0') == std::string_view::npos);
    out_.append(text).push_back('\0');
    return *this;
  }
  MessageBuilder& bytes(std::string_view bytes) {
    out_.append(bytes);
    return *this;
  }
  MessageBuilder& byte(char value) {
    out_.push_back(value);
    return *this;
  }
  MessageBuilder& u16(std::uint16_t value) {
    return byte(static_cast<char>(value >> 8)).byte(static_cast<char>(value & 0xff));
  }
  MessageBuilder& u32(std::uint32_t value) {
    return u16(static_cast<std::uint16_t>(value >> 16)).u16(static_cast<std::uint16_t>(value));
  }

 private:
  std::string& out_;
  std::size_t begin_;  // where the length stands
};

inline void append_empty(std::string& out, char type) { MessageBuilder(out, type); }

}  // namespace crossfade::postgres
