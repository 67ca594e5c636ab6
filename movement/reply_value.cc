// The scanner judges the form first, so that the reader below only has to follow it.
#include "movement/reply_value.h"

#include <charconv>
#include <utility>

#include "protocols/redis/reply.h"

namespace crossfade {

namespace {

using Type = ReplyValue::Type;

class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  // False when it is nested too deeply.
  bool read(ReplyValue& value, unsigned depth) {
    if (depth > kReplyDepthMax) return false;
    while (left_.front() == '|') {
      if (!skip_attribute(depth)) return false;
    }
    const char type = left_.front();
    left_.remove_prefix(1);
    switch (type) {
      case '$':
      case '=':
        return body(value, Type::Text, type == '=' ? kVerbatimHead : 0);
      case '!':
        return body(value, Type::Error, 0);
      case '*':
      case '>':
        return elements(value, Type::List, 1, depth);
      case '~':
        return elements(value, Type::Set, 1, depth);
      case '%':
        return elements(value, Type::Map, 2, depth);
      default:
        return line(value, type);
    }
  }

 private:
  static constexpr std::size_t kVerbatimHead = 4;  // "txt:"

  std::string_view take_line() {
    const std::size_t end = left_.find("\r\n");
    const std::string_view text = left_.substr(0, end);
    left_.remove_prefix(end + 2);
    return text;
  }

  std::int64_t take_length() {
    const std::string_view text = take_line();
    std::int64_t length = 0;
    std::from_chars(text.data(), text.data() + text.size(), length);
    return length;
  }

  bool line(ReplyValue& value, char type) {
    value.text = take_line();
    switch (type) {
      case '-':
        value.type = Type::Error;
        break;
      case ':':
        value.type = Type::Number;
        break;
      case ',':
        value.type = Type::Double;
        break;
      case '#':
        value.type = Type::Number;
        value.text = value.text == "t" ? "1" : "0";
        break;
      case '_':
        value.type = Type::Null;
        value.text = {};
        break;
      default:
        value.type = Type::Text;
        break;
    }
    return true;
  }

  bool body(ReplyValue& value, Type type, std::size_t head) {
    const std::int64_t length = take_length();
    if (length < 0) return true;  // null
    value.type = type;
    value.text = left_.substr(0, static_cast<std::size_t>(length));
    left_.remove_prefix(value.text.size() + 2);
    if (value.text.size() >= head) value.text.remove_prefix(head);
    return true;
  }

  bool elements(ReplyValue& value, Type type, std::int64_t each, unsigned depth) {
    const std::int64_t count = take_length();
    if (count < 0) return true;  // null
    value.type = type;
    // The scanner has seen them all: there are no more than there are bytes.
    value.elements.resize(static_cast<std::size_t>(count * each));
    for (ReplyValue& element : value.elements) {
      if (!read(element, depth + 1)) return false;
    }
    return true;
  }

  bool skip_attribute(unsigned depth) {
    left_.remove_prefix(1);
    ReplyValue ignored;
    return elements(ignored, Type::Map, 2, depth);
  }

  std::string_view left_;
};

}  // namespace

std::optional<ReplyValue> read_reply(std::string_view bytes) {
  redis::ReplyScanner scanner;
  const auto step = scanner.advance(bytes);
  if (step.state != redis::ReplyScanner::State::Complete || step.consumed != bytes.size()) {
    return std::nullopt;
  }
  ReplyValue value;
  if (!Reader(bytes).read(value, 0)) return std::nullopt;
  return value;
}

}  // namespace crossfade
