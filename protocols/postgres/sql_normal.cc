// One pass over the tokens of a statement.
#include "protocols/postgres/sql_normal.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace crossfade::postgres {

namespace {

constexpr std::size_t kNone = std::string_view::npos;

enum class Byte : std::uint8_t { Other, Blank, Digit, Letter, Operator, Alone, Quote, Dollar };

constexpr std::array<Byte, 256> kBytes = [] {
  std::array<Byte, 256> kinds{};
  const auto set = [&](std::string_view bytes, Byte kind) {
    for (const char c : bytes) kinds[static_cast<unsigned char>(c)] = kind;
  };
  set(" \t\n\v\f\r", Byte::Blank);
  set("0123456789", Byte::Digit);
  set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", Byte::Letter);
  set("~!@#^&|`?+-*/%<>=", Byte::Operator);
  set("()[],;:.", Byte::Alone);
  set("'\"", Byte::Quote);
  set("$", Byte::Dollar);
  for (std::size_t c = 0x80; c < kinds.size(); ++c) kinds[c] = Byte::Letter;
  return kinds;
}();

Byte byte_kind(char c) { return kBytes[static_cast<unsigned char>(c)]; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_word(std::string_view text, std::string_view lower_case) {
  return text.size() == lower_case.size() &&
         std::equal(text.begin(), text.end(), lower_case.begin(),
                    [](char c, char expected) { return lower(c) == expected; });
}

template <std::size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return is_word(text, word); });
}

// Words that are values.
constexpr std::array<std::string_view, 3> kValueWords{"null", "true", "false"};
// Words behind which a sign belongs to the number: no name can stand there.
constexpr std::array<std::string_view, 19> kBeforeValues{
    "select", "and",  "or",    "not", "between", "limit",  "offset",    "then", "else",    "when",
    "like",   "case", "where", "on",  "having",  "return", "returning", "in",   "distinct"};

class Normaliser {
 public:
  Normaliser(std::string_view sql, NormalSql& to, std::size_t at = 0)
      : sql_(sql), to_(to), at_(at) {
    to_.form.clear();
    to_.values.clear();
  }

  // Up to the next semicolon.
  bool run_one() {
    while (at_ < sql_.size() && sql_[at_] != ';') {
      if (!step()) return false;
    }
    return true;
  }

  std::size_t at() const { return at_; }

  bool run() {
    while (at_ < sql_.size()) {
      if (!step()) return false;
    }
    // A final semicolon, and those beside it, end nothing that would not end without them.
    while (to_.form.ends_with(";")) {
      to_.form.pop_back();
      if (to_.form.ends_with(" ")) to_.form.pop_back();
    }
    return true;
  }

 private:
  // What stands before a sign: whether it may be one.
  enum class Before : std::uint8_t { Open, Value };

  char peek(std::size_t ahead) const {
    return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
  }

  bool step() {
    switch (byte_kind(sql_[at_])) {
      case Byte::Blank:
        ++at_;
        return true;
      case Byte::Digit:
        return number();
      case Byte::Letter:
        return word();
      case Byte::Operator:
        return operators();
      case Byte::Alone:
        return alone();
      case Byte::Quote:
        return sql_[at_] == '\'' ? string(at_) : name(at_);
      case Byte::Dollar:
        return dollar();
      case Byte::Other:
        return false;
    }
    return false;
  }

  // Tokens are told apart by one blank, which none of them begins or ends with.
  void begin_token() {
    if (!to_.form.empty()) to_.form += ' ';
  }

  bool add(std::size_t end, Before before) {
    begin_token();
    for (; at_ < end; ++at_) to_.form += lower(sql_[at_]);
    before_ = before;
    return true;
  }

  bool value_up_to(std::size_t end) {
    if (end == kNone) return false;
    return add_value(SqlValue::What::Literal, sign_.value_or(at_), end);
  }

  bool add_value(SqlValue::What what, std::size_t begin, std::size_t end) {
    begin_token();
    to_.form += kValueMark;
    to_.values.push_back({what, sql_.substr(begin, end - begin)});
    at_ = end;
    before_ = Before::Value;
    sign_.reset();
    return true;
  }

  // Servers differ in what 5abc is; a number in another base they read, or refuse, alike.
  bool number() {
    const std::size_t end = number_end(at_);
    const std::string_view text = sql_.substr(at_, end - at_);
    const bool based =
        text.size() > 2 && text[0] == '0' && std::string_view("xob").find(lower(text[1])) != kNone;
    const std::string_view digits = based ? "0123456789abcdefABCDEF_" : "0123456789._eE+-";
    const std::size_t exponent = text.find_first_of("eE");
    const bool bare = !based && exponent + 1 == text.size();  // 5e
    if (text.substr(based ? 2 : 0).find_first_not_of(digits) != kNone || bare) return false;
    if (!based && exponent != kNone && text.find_first_of("eE", exponent + 1) != kNone)
      return false;
    return value_up_to(end);
  }

  std::size_t number_end(std::size_t at) const {
    const std::size_t begin = at;
    while (at < sql_.size()) {
      const Byte kind = byte_kind(sql_[at]);
      const bool exponent = (sql_[at] == '+' || sql_[at] == '-') && at > begin &&
                            lower(sql_[at - 1]) == 'e' && is_plain_number(begin, at - 1) &&
                            at + 1 < sql_.size() && byte_kind(sql_[at + 1]) == Byte::Digit;
      if (kind != Byte::Digit && kind != Byte::Letter && sql_[at] != '.' && !exponent) break;
      ++at;
    }
    return at;
  }

  bool is_plain_number(std::size_t begin, std::size_t end) const {
    return sql_.substr(begin, end - begin).find_first_not_of("0123456789._") == kNone;
  }

  // The end of a quoted piece whose quote stands at `open`; kNone: it has none.
  std::size_t quoted_end(std::size_t open, bool escapes) const {
    const char quote = sql_[open];
    for (std::size_t at = open + 1; at < sql_.size(); ++at) {
      if (escapes && sql_[at] == '\\') {
        ++at;
      } else if (sql_[at] == quote) {
        if (at + 1 == sql_.size() || sql_[at + 1] != quote) return at + 1;
        ++at;
      }
    }
    return kNone;
  }

  bool string(std::size_t open) {
    const bool escapes = open == at_ + 1 && lower(sql_[at_]) == 'e';
    return value_up_to(quoted_end(open, escapes));
  }

  bool name(std::size_t open) {
    const std::size_t end = quoted_end(open, false);
    if (end == kNone) return false;
    begin_token();
    to_.form.append(sql_.substr(at_, end - at_));
    at_ = end;
    before_ = Before::Value;
    return true;
  }

  bool word() {
    // E'…', B'…', X'…', N'…', U&'…', U&"…"
    const char first = lower(sql_[at_]);
    if (peek(1) == '\'' && std::string_view("ebxn").find(first) != kNone) return string(at_ + 1);
    if (first == 'u' && peek(1) == '&' && peek(2) == '\'') return string(at_ + 2);
    if (first == 'u' && peek(1) == '&' && peek(2) == '"') return name(at_ + 2);
    std::size_t end = at_ + 1;
    while (end < sql_.size()) {
      const Byte kind = byte_kind(sql_[end]);
      if (kind != Byte::Letter && kind != Byte::Digit && kind != Byte::Dollar) break;
      ++end;
    }
    const std::string_view text = sql_.substr(at_, end - at_);
    if (is_one_of(text, kValueWords)) return value_up_to(end);
    return add(end, is_one_of(text, kBeforeValues) ? Before::Open : Before::Value);
  }

  bool alone() {
    if (sql_[at_] == '.' && byte_kind(peek(1)) == Byte::Digit && before_ == Before::Open) {
      return number();
    }
    const bool closes = sql_[at_] == ')' || sql_[at_] == ']' || sql_[at_] == '.';
    return add(at_ + 1, closes ? Before::Value : Before::Open);
  }

  // PostgreSQL manual 4.1.3 "Operators": a run ends in + or - only where it has one of some others.
  bool operators() {
    std::size_t end = at_ + 1;
    while (end < sql_.size() && byte_kind(sql_[end]) == Byte::Operator) ++end;
    const std::string_view run = sql_.substr(at_, end - at_);
    if (run.find_first_of("~!@#%^&|`?") == kNone) {
      while (end > at_ + 1 && (sql_[end - 1] == '+' || sql_[end - 1] == '-')) --end;
    }
    const bool sign = end == at_ + 1 && (sql_[at_] == '-' || sql_[at_] == '+');
    if (sign && before_ == Before::Open && sign_of_number()) return true;
    return add(end, Before::Open);
  }

  // -5 where nothing stands that 5 could be taken from.
  bool sign_of_number() {
    std::size_t next = sql_.find_first_not_of(" \t\n\v\f\r", at_ + 1);
    if (next == kNone) return false;
    const bool fraction =
        sql_[next] == '.' && next + 1 < sql_.size() && byte_kind(sql_[next + 1]) == Byte::Digit;
    if (byte_kind(sql_[next]) != Byte::Digit && !fraction) return false;
    sign_ = at_;
    at_ = next;
    return true;
  }

  bool dollar() {
    std::size_t end = at_ + 1;
    if (byte_kind(peek(1)) == Byte::Digit) {
      while (end < sql_.size() && byte_kind(sql_[end]) == Byte::Digit) ++end;
      return add_value(SqlValue::What::Parameter, at_ + 1, end);
    }
    while (end < sql_.size() &&
           (byte_kind(sql_[end]) == Byte::Letter || byte_kind(sql_[end]) == Byte::Digit)) {
      ++end;
    }
    if (end == sql_.size() || sql_[end] != '$') return false;
    const std::string_view mark = sql_.substr(at_, end + 1 - at_);
    const std::size_t close = sql_.find(mark, end + 1);
    return value_up_to(close == kNone ? kNone : close + mark.size());
  }

  std::string_view sql_;
  NormalSql& to_;
  std::size_t at_;
  Before before_ = Before::Open;
  std::optional<std::size_t> sign_;  // of the number that is next
};

}  // namespace

bool normalise(std::string_view sql, NormalSql& to) { return Normaliser(sql, to).run(); }

bool normalise_next(std::string_view sql, std::size_t& at, NormalSql& to) {
  Normaliser statement(sql, to, at);
  const bool normal = statement.run_one();
  at = std::min(statement.at() + 1, sql.size());
  return normal;
}

std::string plain_value(std::string_view literal) {
  if (literal.size() < 2 || literal.front() != '\'' || literal.back() != '\'') {
    return std::string(literal);
  }
  std::string value;
  for (std::size_t at = 1; at + 1 < literal.size(); ++at) {
    value += literal[at];
    if (literal[at] == '\'') ++at;  // doubled
  }
  return value;
}

}  // namespace crossfade::postgres
