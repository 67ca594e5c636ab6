// The argument rules of inline commands. Knows nothing of where a line ends.
#include "protocols/redis/inline_args.h"

#include <cstdint>

namespace crossfade::redis {
namespace {

// Blanks between arguments. Form feed and vertical tab separate, but do not end an unquoted
// argument.
constexpr bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
constexpr bool ends_bare(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr char unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// Appends one escape sequence of a double-quoted argument; `at` stands on the backslash.
void append_escape(std::string_view line, std::size_t& at, std::string& out) {
  if (at + 3 < line.size() && line[at + 1] == 'x') {
    const int high = hex_value(line[at + 2]);
    const int low = hex_value(line[at + 3]);
    if (high >= 0 && low >= 0) {
      out.push_back(static_cast<char>(static_cast<std::uint8_t>(high * 16 + low)));
      at += 4;
      return;
    }
  }
  out.push_back(unescape(line[at + 1]));
  at += 2;
}

// Appends up to the closing quote; `at` stands behind the opening one, afterwards behind the
// closing.
bool append_quoted(std::string_view line, std::size_t& at, char quote, std::string& out) {
  while (at < line.size()) {
    if (line[at] == quote) {
      ++at;
      return at == line.size() || is_blank(line[at]);
    }
    const bool escapes = line[at] == '\\' && at + 1 < line.size();
    if (escapes && quote == '"') {
      append_escape(line, at, out);
    } else if (escapes && line[at + 1] == '\'') {
      out.push_back('\'');
      at += 2;
    } else {
      out.push_back(line[at++]);
    }
  }
  return false;
}

}  // namespace

Inline next_inline_arg(std::string_view line, std::size_t& at, std::string& out) {
  while (at < line.size() && is_blank(line[at])) ++at;
  if (at == line.size()) return Inline::End;
  while (at < line.size() && !ends_bare(line[at])) {
    const char c = line[at++];
    if (c == '"' || c == '\'') {  // a closing quote ends the argument
      return append_quoted(line, at, c, out) ? Inline::Argument : Inline::Unbalanced;
    }
    out.push_back(c);
  }
  return Inline::Argument;
}

}  // namespace crossfade::redis
