// A strict scanner of JSON that remembers where it stopped.
#include "control/json/locate.h"

#include <algorithm>

#include "control/hex.h"

namespace crossfade {

std::size_t utf8_length(std::string_view bytes) {
  if (bytes.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto in = [&](std::size_t i, unsigned low, unsigned high) {
    return i < bytes.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return in(1, 0x80, 0xbf) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;   // no overlong forms
    const unsigned high = first == 0xed ? 0x9f : 0xbf;  // no surrogates
    return in(1, low, high) && in(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xf4 ? 0x8f : 0xbf;  // nothing above U+10FFFF
    return in(1, low, high) && in(2, 0x80, 0xbf) && in(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

namespace {

class Scanner {
 public:
  Scanner(std::string_view text, std::size_t depth_max) : text_(text), depth_left_(depth_max) {}

  std::optional<Flaw> document() {
    if (!value()) return flaw_;
    skip_space();
    if (at_ < text_.size()) return Flaw{at_, "the end of the text"};
    return std::nullopt;
  }

 private:
  bool fail(const char* expected) {
    flaw_ = {at_, expected};
    return false;
  }
  bool next_is(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool take(char c) {
    if (!next_is(c)) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
  }
  bool digit() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }

  bool value() {
    skip_space();
    if (at_ == text_.size()) return fail("a value");
    switch (text_[at_]) {
      case '{':
        return nested('}', &Scanner::member);
      case '[':
        return nested(']', &Scanner::value);
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  // An array or an object: items between commas, up to `end`.
  bool nested(char end, bool (Scanner::*item)()) {
    if (depth_left_ == 0) return fail("no deeper nesting");
    --depth_left_;
    ++at_;
    skip_space();
    if (!take(end)) {
      do {
        if (!(this->*item)()) return false;
        skip_space();
      } while (take(','));
      if (!take(end)) return fail(end == '}' ? "',' or '}'" : "',' or ']'");
    }
    ++depth_left_;
    return true;
  }

  bool member() {
    skip_space();
    if (!next_is('"')) return fail("a name in double quotes");
    if (!string()) return false;
    skip_space();
    if (!take(':')) return fail("':'");
    return value();
  }

  bool string() {
    ++at_;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        ++at_;
        return true;
      }
      if (c < 0x20) return fail("an escape instead of a control character");
      if (c == '\\') {
        if (!escape()) return false;
        continue;
      }
      const std::size_t length = utf8_length(text_.substr(at_));
      if (length == 0) return fail("UTF-8");
      at_ += length;
    }
    return fail("the closing double quote");
  }

  bool escape() {
    ++at_;
    if (at_ == text_.size()) return fail("an escape");
    if (text_[at_] != 'u') {
      if (std::string_view("\"\\/bfnrt").find(text_[at_]) == text_.npos) return fail("an escape");
      ++at_;
      return true;
    }
    const int unit = code_unit();
    if (unit < 0) return false;
    if (unit >= 0xdc00 && unit <= 0xdfff) return fail("the first half of a surrogate pair before");
    if (unit < 0xd800 || unit > 0xdbff) return true;
    if (!take('\\') || !next_is('u')) return fail("the second half of a surrogate pair");
    const int second = code_unit();
    if (second < 0) return false;
    return (second >= 0xdc00 && second <= 0xdfff) ||
           fail("the second half of a surrogate pair before");
  }

  // uXXXX; its value, or -1 after fail().
  int code_unit() {
    ++at_;
    int unit = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const int digit_value = at_ < text_.size() ? hex_digit(text_[at_]) : -1;
      if (digit_value < 0) {
        fail("four hexadecimal digits");
        return -1;
      }
      unit = unit * 16 + digit_value;
    }
    return unit;
  }

  bool word(std::string_view expected) {
    for (const char c : expected) {
      if (!take(c)) return fail("a value");
    }
    return true;
  }

  bool digits() {
    if (!digit()) return fail("a digit");
    while (digit()) ++at_;
    return true;
  }

  bool number() {
    if (!next_is('-') && !digit()) return fail("a value");
    take('-');
    if (take('0')) {
      if (digit()) return fail("no digit after a leading zero");
    } else if (!digits()) {
      return false;
    }
    if (take('.') && !digits()) return false;
    if (next_is('e') || next_is('E')) {
      ++at_;
      if (!take('+')) take('-');
      return digits();
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_left_;
  Flaw flaw_{0, ""};
};

}  // namespace

std::optional<Flaw> find_flaw(std::string_view text, std::size_t depth_max) {
  return Scanner(text, depth_max).document();
}

std::string describe(const Flaw& flaw, std::string_view text) {
  const std::string_view before = text.substr(0, flaw.offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
  return "line " + std::to_string(line) + ", column " +
         std::to_string(flaw.offset - line_start + 1) + ": expected " + flaw.expected;
}

}  // namespace crossfade
