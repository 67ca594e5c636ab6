// RFC 3339, character by character.
#include "control/definitions/instant.h"

#include <chrono>

namespace crossfade {

namespace {

// Takes what has been read from the front.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  // So many digits, as a number.
  int digits(std::size_t count) {
    int number = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (text_.empty() || text_[0] < '0' || text_[0] > '9') {
        broken_ = true;
        return 0;
      }
      number = number * 10 + (text_[0] - '0');
      text_.remove_prefix(1);
    }
    return number;
  }
  bool take(std::string_view any_of) {
    if (text_.empty() || any_of.find(text_[0]) == any_of.npos) return false;
    text_.remove_prefix(1);
    return true;
  }
  void need(std::string_view any_of) { broken_ |= !take(any_of); }
  void skip_digits() {
    digits(1);
    while (take("0123456789")) {
    }
  }
  bool at_end() const { return text_.empty() && !broken_; }
  bool next_is(char c) const { return !text_.empty() && text_[0] == c; }

 private:
  std::string_view text_;
  bool broken_ = false;
};

}  // namespace

std::optional<std::int64_t> parse_instant(std::string_view text) {
  Reader reader(text);
  const int year_number = reader.digits(4);
  reader.need("-");
  const int month_number = reader.digits(2);
  reader.need("-");
  const int day_number = reader.digits(2);
  reader.need("Tt ");
  const int hour = reader.digits(2);
  reader.need(":");
  const int minute = reader.digits(2);
  const int second = reader.take(":") ? reader.digits(2) : 0;
  if (reader.take(".")) reader.skip_digits();
  int offset = 0;  // minutes
  if (!reader.take("Zz")) {
    const bool west = reader.next_is('-');
    reader.need("+-");
    const int hours = reader.digits(2);
    reader.need(":");
    const int minutes = reader.digits(2);
    if (hours > 23 || minutes > 59) return std::nullopt;
    offset = (west ? -1 : 1) * (hours * 60 + minutes);
  }
  const std::chrono::year_month_day date{std::chrono::year{year_number},
                                         std::chrono::month{static_cast<unsigned>(month_number)},
                                         std::chrono::day{static_cast<unsigned>(day_number)}};
  if (!reader.at_end() || !date.ok() || year_number < 1970 || hour > 23 || minute > 59 ||
      second > 59) {
    return std::nullopt;
  }
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const std::int64_t instant = ((days * 24 + hour) * 60 + minute - offset) * 60 + second;
  // An offset leads out of the years that rfc3339() writes in four digits.
  constexpr std::int64_t kEnd = 253'402'300'800;  // 10000-01-01T00:00:00Z
  if (instant < 0 || instant >= kEnd) return std::nullopt;
  return instant;
}

}  // namespace crossfade
