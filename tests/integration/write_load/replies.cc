// One pass over the lines of a reply; what is still to come of it is a number, not a stack.
#include "tests/integration/write_load/replies.h"

#include <charconv>

namespace crossfade::write_load {
namespace {

// The size of the reply with which `bytes` begin.
template <class OnError>
Cut walk(std::string_view bytes, const OnError& on_error) {
  constexpr Cut kMore{Cut::State::More, 0};
  constexpr Cut kBroken{Cut::State::Broken, 0};
  std::size_t at = 0;
  long long values = 1;
  while (values > 0) {
    const std::size_t end = bytes.find("\r\n", at);
    if (end == std::string_view::npos) return kMore;
    const char type = bytes[at];
    const std::string_view line = bytes.substr(at + 1, end - at - 1);
    at = end + 2;
    --values;
    long long number = 0;
    switch (type) {
      case '$':
      case '=':
      case '!':
      case '*':
      case '~':
      case '%':
      case '|': {
        const auto parsed = std::from_chars(line.data(), line.data() + line.size(), number);
        if (parsed.ec != std::errc() || parsed.ptr != line.data() + line.size() || number < -1) {
          return kBroken;
        }
        break;
      }
      case '-':
        on_error(line);
        break;
      case '+':
      case ':':
      case '_':
      case '#':
      case ',':
      case '(':
        break;
      default:  // '>' too: nobody has asked for pushes
        return kBroken;
    }
    if (number <= 0 && type != '$' && type != '=' && type != '!') {
      if (type == '|') ++values;
      continue;
    }
    if (type == '*' || type == '~') values += number;
    if (type == '%') values += 2 * number;
    if (type == '|') values += 2 * number + 1;
    if ((type == '$' || type == '=' || type == '!') && number >= 0) {
      const auto size = static_cast<std::size_t>(number);
      if (bytes.size() < at + size + 2) return kMore;
      if (bytes.substr(at + size, 2) != "\r\n") return kBroken;
      if (type == '!') on_error(bytes.substr(at, size));
      at += size + 2;
    }
  }
  return {Cut::State::Whole, at};
}

}  // namespace

Cut cut_reply(std::string_view bytes, const std::function<void(std::string_view)>& error) {
  const Cut cut = walk(bytes, [](std::string_view) {});
  if (cut.state == Cut::State::Whole) walk(bytes.substr(0, cut.size), error);
  return cut;
}

}  // namespace crossfade::write_load
