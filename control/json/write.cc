// Escaping, and numbers that read back as themselves.
#include "control/json/write.h"

#include <array>
#include <charconv>
#include <cmath>

#include "control/json/locate.h"

namespace crossfade {

namespace {

void write(const Json& value, std::string& out);

template <class Number>
void write_digits(Number number, std::string& out) {
  std::array<char, 32> text;  // the longest shortest double has 24 characters
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  out.append(text.data(), end);
}

void write_double(double number, std::string& out) {
  if (!std::isfinite(number)) {
    out += "null";
    return;
  }
  const std::size_t start = out.size();
  write_digits(number, out);
  if (out.find_first_of(".e", start) == out.npos)
    out += ".0";  // stays a real number when read back
}

void write_string(std::string_view text, std::string& out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out += '"';
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t length = utf8_length(text);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (length == 0) {
      out += "\xef\xbf\xbd";  // U+FFFD
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += "\\u00";
      out += kDigits[static_cast<unsigned char>(c) >> 4];
      out += kDigits[static_cast<unsigned char>(c) & 15];
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
}

struct Writer {
  std::string& out;

  void operator()(std::nullptr_t) const { out += "null"; }
  void operator()(bool value) const { out += value ? "true" : "false"; }
  void operator()(std::int64_t value) const { write_digits(value, out); }
  void operator()(std::uint64_t value) const { write_digits(value, out); }
  void operator()(double value) const { write_double(value, out); }
  void operator()(const std::string& value) const { write_string(value, out); }
  void operator()(const Json::Array& value) const {
    const char* separator = "[";
    for (const Json& element : value) {
      out += separator;
      write(element, out);
      separator = ",";
    }
    out += value.empty() ? "[]" : "]";
  }
  void operator()(const Json::Object& value) const {
    const char* separator = "{";
    for (const auto& [name, member] : value) {
      out += separator;
      write_string(name, out);
      out += ':';
      write(member, out);
      separator = ",";
    }
    out += value.empty() ? "{}" : "}";
  }
};

void write(const Json& value, std::string& out) { value.visit(Writer{out}); }

}  // namespace

std::string to_text(const Json& value) {
  std::string out;
  write(value, out);
  return out;
}

}  // namespace crossfade
