// One pass over the tokens of a statement.
#include "protocols/postgres/sql_normal.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "protocols/base/ascii.h"

namespace crossfade::postgres {

namespace {

constexpr std::size_t kNowhere = std::string_view::npos;

enum class Sort : std::uint8_t { Other, Blank, Digit, Letter, Operator, Alone, Quote, Dollar };

constexpr std::array<Sort, 256> kBytes = [] {
  std::array<Sort, 256> kinds{};
  const auto set = [&](std::string_view bytes, Sort kind) {
    for (const char c : bytes) kinds[static_cast<unsigned char>(c)] = kind;
  };
  set(" \t\n\v\f\r", Sort::Blank);
  set("0123456789", Sort::Digit);
  set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", Sort::Letter);
  set("~!@#^&|`?+-*/%<>=", Sort::Operator);
  set("()[],;:.", Sort::Alone);
  set("'\"", Sort::Quote);
  set("$", Sort::Dollar);
  for (std::size_t c = 0x80; c < kinds.size(); ++c) kinds[c] = Sort::Letter;
  return kinds;
}();

Sort sort_of(char c) { return kBytes[static_cast<unsigned char>(c)]; }

template <std::size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return same_letters(text, word); });
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
    switch (sort_of(sql_[at_])) {
      case Sort::Blank:
        ++at_;
        return true;
      case Sort::Digit:
        return number();
      case Sort::Letter:
        return word();
      case Sort::Operator:
        return operators();
      case Sort::Alone:
        return alone();
      case Sort::Quote:
        return sql_[at_] == '\'' ? string(at_) : name(at_);
      case Sort::Dollar:
        return dollar();
      case Sort::Other:
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
    for (; at_ < end; ++at_) to_.form += ascii_lower(sql_[at_]);
    before_ = before;
    return true;
  }

  bool value_up_to(std::size_t end) {
    if (end == kNowhere) return false;
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
    const bool based = text.size() > 2 && text[0] == '0' &&
                       std::string_view("xob").find(ascii_lower(text[1])) != kNowhere;
    const std::string_view digits = based ? "0123456789abcdefABCDEF_" : "0123456789._eE+-";
    const std::size_t exponent = text.find_first_of("eE");
    const bool bare = !based && exponent + 1 == text.size();  // 5e
    if (text.substr(based ? 2 : 0).find_first_not_of(digits) != kNowhere || bare) return false;
    if (!based && exponent != kNowhere && text.find_first_of("eE", exponent + 1) != kNowhere)
      return false;
    return value_up_to(end);
  }

  std::size_t number_end(std::size_t at) const {
    const std::size_t begin = at;
    while (at < sql_.size()) {
      const Sort kind = sort_of(sql_[at]);
      const bool exponent = (sql_[at] == '+' || sql_[at] == '-') && at > begin &&
                            ascii_lower(sql_[at - 1]) == 'e' && is_plain_number(begin, at - 1) &&
                            at + 1 < sql_.size() && sort_of(sql_[at + 1]) == Sort::Digit;
      if (kind != Sort::Digit && kind != Sort::Letter && sql_[at] != '.' && !exponent) break;
      ++at;
    }
    return at;
  }

  bool is_plain_number(std::size_t begin, std::size_t end) const {
    return sql_.substr(begin, end - begin).find_first_not_of("0123456789._") == kNowhere;
  }

  // The end of a quoted piece whose quote stands at `open`; kNowhere: it has none.
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
    return kNowhere;
  }

  bool string(std::size_t open) {
    const bool escapes = open == at_ + 1 && ascii_lower(sql_[at_]) == 'e';
    return value_up_to(quoted_end(open, escapes));
  }

  bool name(std::size_t open) {
    const std::size_t end = quoted_end(open, false);
    if (end == kNowhere) return false;
    begin_token();
    to_.form.append(sql_.substr(at_, end - at_));
    at_ = end;
    before_ = Before::Value;
    return true;
  }

  bool word() {
    // E'…', B'…', X'…', N'…', U&'…', U&"…"
    const char first = ascii_lower(sql_[at_]);
    if (peek(1) == '\'' && std::string_view("ebxn").find(first) != kNowhere) return string(at_ + 1);
    if (first == 'u' && peek(1) == '&' && peek(2) == '\'') return string(at_ + 2);
    if (first == 'u' && peek(1) == '&' && peek(2) == '"') return name(at_ + 2);
    std::size_t end = at_ + 1;
    while (end < sql_.size()) {
      const Sort kind = sort_of(sql_[end]);
      if (kind != Sort::Letter && kind != Sort::Digit && kind != Sort::Dollar) break;
      ++end;
    }
    const std::string_view text = sql_.substr(at_, end - at_);
    if (is_one_of(text, kValueWords)) return value_up_to(end);
    return add(end, is_one_of(text, kBeforeValues) ? Before::Open : Before::Value);
  }

  bool alone() {
    if (sql_[at_] == '.' && sort_of(peek(1)) == Sort::Digit && before_ == Before::Open) {
      return number();
    }
    const bool closes = sql_[at_] == ')' || sql_[at_] == ']' || sql_[at_] == '.';
    return add(at_ + 1, closes ? Before::Value : Before::Open);
  }

  // PostgreSQL manual 4.1.3 "Operators": a run ends in + or - only where it has one of some others.
  bool operators() {
    // All that a text without comments has of one that stood behind a string.
    if (sql_.substr(at_, 4) == "/**/") {
      at_ += 4;
      return true;
    }
    std::size_t end = at_ + 1;
    while (end < sql_.size() && sort_of(sql_[end]) == Sort::Operator) ++end;
    const std::string_view run = sql_.substr(at_, end - at_);
    if (run.find_first_of("~!@#%^&|`?") == kNowhere) {
      while (end > at_ + 1 && (sql_[end - 1] == '+' || sql_[end - 1] == '-')) --end;
    }
    const bool sign = end == at_ + 1 && (sql_[at_] == '-' || sql_[at_] == '+');
    if (sign && before_ == Before::Open && sign_of_number()) return true;
    return add(end, Before::Open);
  }

  // -5 where nothing stands that 5 could be taken from.
  bool sign_of_number() {
    std::size_t next = sql_.find_first_not_of(" \t\n\v\f\r", at_ + 1);
    if (next == kNowhere) return false;
    const bool fraction =
        sql_[next] == '.' && next + 1 < sql_.size() && sort_of(sql_[next + 1]) == Sort::Digit;
    if (sort_of(sql_[next]) != Sort::Digit && !fraction) return false;
    sign_ = at_;
    at_ = next;
    return true;
  }

  bool dollar() {
    std::size_t end = at_ + 1;
    if (sort_of(peek(1)) == Sort::Digit) {
      while (end < sql_.size() && sort_of(sql_[end]) == Sort::Digit) ++end;
      return add_value(SqlValue::What::Parameter, at_ + 1, end);
    }
    while (end < sql_.size() &&
           (sort_of(sql_[end]) == Sort::Letter || sort_of(sql_[end]) == Sort::Digit)) {
      ++end;
    }
    if (end == sql_.size() || sql_[end] != '$') return false;
    const std::string_view mark = sql_.substr(at_, end + 1 - at_);
    const std::size_t close = sql_.find(mark, end + 1);
    return value_up_to(close == kNowhere ? kNowhere : close + mark.size());
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
