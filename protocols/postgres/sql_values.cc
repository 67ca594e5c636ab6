// A lexer that need not be right about what it hides, only about what it shows.
#include "protocols/postgres/sql_values.h"

#include <algorithm>

namespace crossfade::postgres {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool continues_name(char c) { return begins_name(c) || is_digit(c) || c == '$'; }

class Hider {
 public:
  Hider(std::string_view sql, std::size_t max) : sql_(sql), max_(max) {}

  std::string run() {
    while (at_ < sql_.size() && shown_.size() <= max_) step();
    if (shown_.size() <= max_) return std::move(shown_);
    shown_.resize(max_ - std::min<std::size_t>(max_, 3));
    return shown_ + "...";
  }

 private:
  void step() {
    const char c = sql_[at_];
    const std::string_view rest = sql_.substr(at_);
    if (rest.starts_with("--")) return hide(std::min(rest.find_first_of("\r\n"), rest.size()), " ");
    if (rest.starts_with("/*")) return comment(rest);
    if (c == '\'') return string(rest);
    if (c == '"') return quoted_name(rest);
    if (c == '$') return dollar(rest);
    if (is_digit(c) || (c == '.' && rest.size() > 1 && is_digit(rest[1]))) return number(rest);
    if (begins_name(c)) return name(rest);
    show(1);
  }

  void show(std::size_t size) {
    shown_.append(sql_.substr(at_, size));
    at_ += size;
  }
  void hide(std::size_t size, std::string_view instead) {
    shown_.append(instead);
    at_ += size;
  }
  void hide_rest() { hide(sql_.size() - at_, "?"); }

  void comment(std::string_view rest) {
    std::size_t depth = 0, end = 0;
    do {
      const std::string_view two = rest.substr(end, 2);
      if (two.size() < 2) return hide_rest();
      depth += two == "/*" ? 1u : 0u;
      depth -= two == "*/" ? 1u : 0u;
      end += two == "/*" || two == "*/" ? 2 : 1;
    } while (depth > 0);
    hide(end, " ");
  }

  void string(std::string_view rest) {
    std::size_t end = 1;
    while ((end = rest.find('\'', end)) != kNone && rest.substr(end, 2) == "''") end += 2;
    if (end == kNone || rest.substr(0, end).find('\\') != kNone) return hide_rest();
    hide(end + 1, "?");
  }

  void quoted_name(std::string_view rest) {
    const std::size_t end = rest.find('"', 1);  // a doubled one begins another
    if (end == kNone) return hide_rest();
    show(end + 1);
  }

  void dollar(std::string_view rest) {
    std::size_t end = 1;
    while (end < rest.size() && rest[end] != '$' && continues_name(rest[end])) ++end;
    if (rest.size() > 1 && is_digit(rest[1]))
      return end < rest.size() && rest[end] == '$' ? hide_rest() : show(end);
    if (end == rest.size() || rest[end] != '$') return show(1);
    const std::string_view mark = rest.substr(0, end + 1);
    const std::size_t close = rest.find(mark, mark.size());
    if (close == kNone) return hide_rest();
    hide(close + mark.size(), "?");
  }

  // With what may belong to it: exponents, and letters that no version is sure about.
  void number(std::string_view rest) {
    std::size_t end = 1;
    while (end < rest.size() && (continues_name(rest[end]) || rest[end] == '.')) ++end;
    if (rest.substr(0, end).find('$') != kNone) return hide_rest();
    hide(end, "?");
  }

  // One letter or two before a string say how it is written: E'', B'', X'', N'', U&''.
  void name(std::string_view rest) {
    std::size_t end = 1;
    while (end < rest.size() && continues_name(rest[end])) ++end;
    show(end);
  }

  std::string_view sql_;
  std::size_t max_;
  std::size_t at_ = 0;
  std::string shown_;
};

}  // namespace

std::string without_values(std::string_view sql, std::size_t max) { return Hider(sql, max).run(); }

}  // namespace crossfade::postgres
