// A lexer that knows only where literals, names and comments begin and end.
#include "protocols/postgres/sql_comments.h"

#include <algorithm>
#include <array>

namespace crossfade::postgres {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

// What a byte outside of literals may begin or continue.
enum ByteKind : unsigned char { kOther, kBlank, kDigit, kLetter, kOperator, kQuote, kDollar };

constexpr std::array<ByteKind, 256> kByteKinds = [] {
  std::array<ByteKind, 256> kinds{};
  const auto set = [&](std::string_view bytes, ByteKind kind) {
    for (const char byte : bytes) kinds[static_cast<unsigned char>(byte)] = kind;
  };
  set(" \t\n\v\f\r", kBlank);
  set("0123456789", kDigit);
  set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", kLetter);
  set("~!@#^&|`?+-*/%<>=", kOperator);
  set("'\"", kQuote);
  set("$", kDollar);
  for (std::size_t byte = 0x80; byte < kinds.size(); ++byte) kinds[byte] = kLetter;
  return kinds;
}();

ByteKind byte_kind(char c) { return kByteKinds[static_cast<unsigned char>(c)]; }

bool is_digit(char c) { return byte_kind(c) == kDigit; }

bool begins_name(char c) { return byte_kind(c) == kLetter; }

bool continues_name(char c) {
  const ByteKind kind = byte_kind(c);
  return kind == kLetter || kind == kDigit || kind == kDollar;
}

class Stripper {
 public:
  Stripper(std::string_view sql, std::string& to) : sql_(sql), to_(to) {}

  SqlLexis run() {
    to_.clear();
    while (at_ < sql_.size()) {
      if (!step()) return unclear();
    }
    copy_up_to(at_);
    return longest_ > kOperatorRunMax ? SqlLexis::LongRun : SqlLexis::Plain;
  }

 private:
  SqlLexis unclear() {
    to_.assign(sql_);
    return SqlLexis::Unclear;
  }

  char peek(std::size_t ahead) const {
    return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
  }

  // Each of these takes one piece of the text; false: where it ends is not clear.
  bool step() {
    const char c = sql_[at_];
    const ByteKind kind = byte_kind(c);
    if (kind == kOperator) {
      if (c == '-' && peek(1) == '-') return line_comment();
      if (c == '/' && peek(1) == '*') return block_comment();
      after_string_ = false;
      return operator_character();
    }
    run_ = 0;
    if (kind != kBlank) after_string_ = false;
    switch (kind) {
      case kQuote:
        after_string_ = c == '\'';
        return quoted(c);
      case kDigit:
        return number();
      case kLetter:
        return name();
      case kDollar:
        return is_digit(peek(1)) ? number() : dollar_quoted();
      case kOther:
      case kBlank:
      case kOperator:
        break;
    }
    return take(at_ + 1);
  }

  bool take(std::size_t end) {
    at_ = end;
    return true;
  }

  void copy_up_to(std::size_t end) {
    to_.append(sql_.substr(copied_, end - copied_));
    copied_ = end;
  }

  bool operator_character() {
    longest_ = std::max(longest_, ++run_);
    return take(at_ + 1);
  }

  bool line_comment() {
    copy_up_to(at_);
    copied_ = at_ = std::min(sql_.find_first_of("\r\n", at_), sql_.size());
    run_ = 0;
    return true;
  }

  bool block_comment() {
    copy_up_to(at_);
    std::size_t depth = 0;
    do {
      if (at_ + 1 >= sql_.size()) return false;
      if (sql_[at_] == '/' && sql_[at_ + 1] == '*') {
        ++depth;
        at_ += 2;
      } else if (sql_[at_] == '*' && sql_[at_ + 1] == '/') {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0);
    to_.append(after_string_ ? "/**/" : " ");
    after_string_ = false;
    copied_ = at_;
    run_ = 0;
    return true;
  }

  bool quoted(char quote) {
    for (std::size_t end = at_ + 1;; end += 2) {
      end = sql_.find(quote, end);
      if (end == kNone) return false;
      if (end + 1 == sql_.size() || sql_[end + 1] != quote) return take(end + 1);
    }
  }

  // E'…': a backslash takes the next character's meaning away.
  bool escaped(std::size_t begin) {
    after_string_ = true;
    for (std::size_t end = begin + 1; end < sql_.size(); ++end) {
      if (sql_[end] == '\\') {
        ++end;
      } else if (sql_[end] == '\'') {
        if (end + 1 == sql_.size() || sql_[end + 1] != '\'') return take(end + 1);
        ++end;
      }
    }
    return false;
  }

  bool name() {
    std::size_t end = at_ + 1;
    while (end < sql_.size() && continues_name(sql_[end])) ++end;
    const bool escapes = end == at_ + 1 && (sql_[at_] == 'e' || sql_[at_] == 'E');
    if (escapes && end < sql_.size() && sql_[end] == '\'') return escaped(end);
    return take(end);
  }

  // 1E'…' and 1$a$…: whether the number ends before the letter differs between versions.
  bool number() {
    std::size_t end = at_ + 1;
    while (end < sql_.size() && (continues_name(sql_[end]) || sql_[end] == '.')) ++end;
    const std::string_view text = sql_.substr(at_, end - at_);
    if (text.find('$', 1) != kNone) return false;
    const bool letter = begins_name(text.back());
    if (letter && end < sql_.size() && sql_[end] == '\'') return false;
    return take(end);
  }

  bool dollar_quoted() {
    std::size_t end = at_ + 1;
    while (end < sql_.size() && sql_[end] != '$' && continues_name(sql_[end])) ++end;
    if (end == sql_.size() || sql_[end] != '$') return take(at_ + 1);  // a dollar sign, no quote
    const std::string_view mark = sql_.substr(at_, end + 1 - at_);
    const std::size_t close = sql_.find(mark, end + 1);
    return close != kNone && take(close + mark.size());
  }

  std::string_view sql_;
  std::string& to_;
  std::size_t at_ = 0;
  std::size_t copied_ = 0;  // up to here the text is in `to_`, or was a comment
  std::size_t run_ = 0;
  std::size_t longest_ = 0;
  // 'a' <comment> <line end> 'b' are two strings; with a blank for the comment they would be one.
  bool after_string_ = false;
};

}  // namespace

bool has_no_comment(std::string_view sql) {
  return sql.find("--") == kNone && sql.find("/*") == kNone;
}

SqlLexis without_comments(std::string_view sql, std::string& to) { return Stripper(sql, to).run(); }

}  // namespace crossfade::postgres
