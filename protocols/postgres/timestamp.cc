// ISO timestamps, field by field.
#include "protocols/postgres/timestamp.h"

#include <optional>

namespace crossfade::postgres {
namespace {

constexpr std::int64_t kSecond = 1'000'000;  // us
constexpr std::int64_t kYearMax = 294'276;   // the server's
constexpr std::int64_t kYearFits = 294'246;  // the last whole year that a Timestamp can tell
constexpr std::size_t kYearDigits = 6;

// A text that is read from the front; once something does not fit, nothing fits any more.
class TimeFields {
 public:
  explicit TimeFields(std::string_view text) : left_(text) {}

  // A number of at least `least` and at most `most` digits that is within [low, high].
  std::int64_t number(std::size_t least, std::size_t most, std::int64_t low, std::int64_t high) {
    std::int64_t value = 0;
    std::size_t digits = 0;
    for (; digits < most && next_is_digit(); ++digits) {
      value = value * 10 + (left_.front() - '0');
      left_.remove_prefix(1);
    }
    fits_ = fits_ && digits >= least && value >= low && value <= high;
    return value;
  }
  void expect(char c) { fits_ = take(c) && fits_; }
  bool take(char c) {
    if (left_.empty() || left_.front() != c) return false;
    left_.remove_prefix(1);
    return true;
  }
  bool next_is_digit() const {
    return !left_.empty() && left_.front() >= '0' && left_.front() <= '9';
  }
  bool take_bc() {
    if (left_ != " BC") return false;
    left_ = {};
    return true;
  }
  bool done() const { return fits_ && left_.empty(); }

 private:
  std::string_view left_;
  bool fits_ = true;
};

std::int64_t two(TimeFields& fields, std::int64_t high) { return fields.number(2, 2, 0, high); }

// Up to six digits behind a point, as microseconds.
std::int64_t fraction(TimeFields& fields) {
  if (!fields.take('.')) return 0;
  std::int64_t us = 0;
  for (std::int64_t unit = kSecond / 10; unit > 0; unit /= 10) {
    if (unit < kSecond / 10 && !fields.next_is_digit()) break;
    us += fields.number(1, 1, 0, 9) * unit;
  }
  return us;
}

// "+05", "+05:30", "-00:25:21": seconds to the east of UTC.
std::int64_t zone(TimeFields& fields) {
  const bool west = fields.take('-');
  if (!west) fields.expect('+');
  std::int64_t seconds = two(fields, 15) * 3600;
  if (fields.take(':')) seconds += two(fields, 59) * 60;
  if (fields.take(':')) seconds += two(fields, 59);
  return west ? -seconds : seconds;
}

bool is_leap(std::int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

std::int64_t days_of_month(std::int64_t year, std::int64_t month) {
  if (month == 2) return is_leap(year) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

// Days from 1970-01-01 in the Gregorian calendar; year 0 is 1 BC. Years begin in March here, so
// that the leap day is their last; 400 of them are one era, always of 146097 days.
std::int64_t days_since_epoch(std::int64_t year, std::int64_t month, std::int64_t day) {
  if (month <= 2) --year;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t month_from_march = (month + 9) % 12;
  const std::int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
  const std::int64_t day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

std::optional<Timestamp> read(std::string_view text) {
  TimeFields fields(text);
  std::int64_t year = fields.number(4, kYearDigits, 1, kYearMax);
  fields.expect('-');
  const std::int64_t month = fields.number(2, 2, 1, 12);
  fields.expect('-');
  const std::int64_t day = fields.number(2, 2, 1, 31);
  fields.expect(' ');
  std::int64_t seconds = two(fields, 23) * 3600;
  fields.expect(':');
  seconds += two(fields, 59) * 60;
  fields.expect(':');
  seconds += two(fields, 59);
  const std::int64_t us = fraction(fields);
  seconds -= zone(fields);
  if (fields.take_bc()) year = 1 - year;
  if (!fields.done() || year < -4713 || day > days_of_month(year, month)) return std::nullopt;
  if (year > kYearFits) return kEndless;
  return Timestamp{(days_since_epoch(year, month, day) * 86'400 + seconds) * kSecond + us};
}

}  // namespace

Result<Timestamp> parse_timestamp(std::string_view text) {
  if (text == "infinity") return kEndless;
  if (text == "-infinity") return kNever;
  if (const auto found = read(text)) return *found;
  return Error{Errc::BadInput, "read a timestamp",
               "it is not written as 2026-03-01 12:30:00+00 (DateStyle ISO)"};
}

}  // namespace crossfade::postgres
