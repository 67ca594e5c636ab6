// Replies as a count of values still to come.
//
// A value takes one away, an aggregate of n adds n, an attribute adds its pairs and takes nothing
// away, since the value it describes is still to come. That count is all that nesting needs: no
// stack, no depth limit. Only what decides where a reply ends is judged; the text of numbers and
// lines is not.
#include "protocols/redis/reply.h"

#include <algorithm>
#include <cstring>

#include "protocols/redis/number.h"

namespace crossfade::redis {
namespace {

// Lengths and outstanding values beyond this are refused: sums of them can then never overflow.
constexpr std::int64_t kLengthMax = std::int64_t{1} << 60;

// What a type byte promises.
enum class Form : std::uint8_t { Unknown, Line, Bulk, Values, Pairs, Attribute };

constexpr Form form_of(char type) {
  switch (type) {
    case '+':
    case '-':
    case ':':
    case '_':
    case '#':
    case ',':
    case '(':
      return Form::Line;
    case '$':
    case '!':
    case '=':
      return Form::Bulk;
    case '*':
    case '~':
    case '>':
      return Form::Values;
    case '%':
      return Form::Pairs;
    case '|':
      return Form::Attribute;
    default:
      return Form::Unknown;
  }
}

// Size of the short line or bulk that `bytes` begin with, when all of it is here; else 0. Most
// replies are one of these, and need none of the scanner's memory.
std::size_t flat_reply(std::string_view bytes) {
  constexpr std::size_t kNear = 32;
  if (bytes.size() < 4) return 0;
  if (bytes[0] == '$') {
    const char* const from = bytes.data() + 1;
    const Number length = read_number(from, bytes.data() + bytes.size());
    if (length.state != NumberState::Whole || length.value < -1) return 0;
    const std::size_t head = 1 + length.size + 2;
    if (bytes.size() < head || bytes[head - 1] != '\n') return 0;
    if (length.value < 0) return head;
    const auto body = static_cast<std::uint64_t>(length.value);
    return bytes.size() - head >= body + 2 ? head + body + 2 : 0;
  }
  if (bytes[0] != '+' && bytes[0] != ':' && bytes[0] != '-') return 0;
  const std::size_t last = std::min(bytes.size() - 1, kNear);
  for (std::size_t i = 1; i < last; ++i) {
    if (bytes[i] == '\r') return bytes[i + 1] == '\n' ? i + 2 : 0;
  }
  return 0;
}

}  // namespace

ReplyScanner::Step ReplyScanner::advance(std::string_view bytes) {
  if (at_boundary_) {
    if (const std::size_t size = flat_reply(bytes)) {
      type_ = bytes[0];
      null_ = bytes[0] == '$' && bytes[1] == '-';
      return {size, State::Complete};
    }
  }
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  const auto step = [&](State state) {
    return Step{static_cast<std::size_t>(at - bytes.data()), state};
  };
  while (at < end) {
    // Elements of an aggregate: most of them are flat and here.
    while (outstanding_ > 1 && expects_ == Expects::Type) {
      const std::size_t size = flat_reply({at, static_cast<std::size_t>(end - at)});
      if (size == 0) break;
      at += size;
      --outstanding_;
    }
    if (at == end) break;
    Next next = Next::Inside;
    switch (expects_) {
      case Expects::Type:
        next = begin_value(at, end);
        break;
      case Expects::LineEnd:
      case Expects::LineFeed:
        next = skip_line(at, end);
        break;
      case Expects::FirstDigit:
      case Expects::Digits:
      case Expects::Return:
      case Expects::LengthFeed:
        next = read_length_slowly(*at++);
        break;
      case Expects::Body:
        next = skip_body(at, end);
        break;
    }
    if (next == Next::Inside) continue;
    if (next == Next::Broken) return step(State::Broken);
    expects_ = Expects::Type;
    if (outstanding_ == 0) {
      outstanding_ = 1;
      at_boundary_ = true;
      return step(State::Complete);
    }
  }
  return step(State::NeedMore);
}

ReplyScanner::Next ReplyScanner::begin_value(const char*& at, const char* end) {
  const char type = *at++;
  if (at_boundary_) {
    at_boundary_ = false;
    type_ = 0;
    null_ = false;
  }
  line_type_ = type;
  const Form form = form_of(type);
  if (form == Form::Unknown) return Next::Broken;
  outermost_ = type_ == 0 && outstanding_ == 1 && form != Form::Attribute;
  if (outermost_) {
    type_ = type;
    null_ = type == '_';
  }
  if (form == Form::Line) {
    expects_ = Expects::LineEnd;
    return skip_line(at, end);
  }
  // The whole length is usually here; otherwise it is read byte by byte as it comes.
  const Number length = read_number(at, end);
  if (length.state == NumberState::Broken) return Next::Broken;
  if (length.state == NumberState::Whole && static_cast<std::size_t>(end - at) >= length.size + 2) {
    at += length.size + 2;
    if (at[-1] != '\n') return Next::Broken;
    const Next next = take_length(length.value);
    if (expects_ != Expects::Body || next != Next::Inside) return next;
    return skip_body(at, end);
  }
  expects_ = Expects::FirstDigit;
  number_ = 0;
  negative_ = false;
  return Next::Inside;
}

ReplyScanner::Next ReplyScanner::skip_line(const char*& at, const char* end) {
  constexpr std::ptrdiff_t kNear = 16;  // most lines are shorter than a call of memchr is worth
  while (at < end) {
    if (expects_ == Expects::LineFeed) {
      if (*at == '\n') {
        ++at;
        --outstanding_;
        return Next::Whole;
      }
      expects_ = Expects::LineEnd;
    }
    const char* const near = at + std::min(kNear, end - at);
    while (at < near && *at != '\r') ++at;
    if (at == near && at < end) {
      const void* const found = std::memchr(at, '\r', static_cast<std::size_t>(end - at));
      at = found != nullptr ? static_cast<const char*>(found) : end;
    }
    if (at == end) break;
    ++at;
    expects_ = Expects::LineFeed;
  }
  return Next::Inside;
}

ReplyScanner::Next ReplyScanner::skip_body(const char*& at, const char* end) {
  const auto taken = std::min<std::int64_t>(bulk_left_, end - at);
  at += taken;
  bulk_left_ -= taken;
  if (bulk_left_ > 0) return Next::Inside;
  --outstanding_;
  return Next::Whole;
}

ReplyScanner::Next ReplyScanner::read_length_slowly(char c) {
  const auto digit = static_cast<unsigned>(c - '0');
  switch (expects_) {
    case Expects::FirstDigit:
      if (c == '-' && !negative_) {
        negative_ = true;
        return Next::Inside;
      }
      if (digit > 9 || (digit == 0 && negative_)) return Next::Broken;
      number_ = digit;
      expects_ = digit == 0 ? Expects::Return : Expects::Digits;
      return Next::Inside;
    case Expects::Digits:
      if (digit <= 9) {
        if (number_ > (kLengthMax - static_cast<std::int64_t>(digit)) / 10) return Next::Broken;
        number_ = number_ * 10 + digit;
        return Next::Inside;
      }
      [[fallthrough]];
    case Expects::Return:
      if (c != '\r') return Next::Broken;
      expects_ = Expects::LengthFeed;
      return Next::Inside;
    case Expects::LengthFeed:
      if (c != '\n') return Next::Broken;
      return take_length(negative_ ? -number_ : number_);
    case Expects::Type:
    case Expects::LineEnd:
    case Expects::LineFeed:
    case Expects::Body:
      break;
  }
  return Next::Broken;
}

ReplyScanner::Next ReplyScanner::take_length(std::int64_t length) {
  // -1 is RESP2's way to say null; no other negative length exists.
  if (length < -1 || length > kLengthMax) return Next::Broken;
  if (length < 0 && outermost_) null_ = true;
  const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(length, 0));
  const Form form = form_of(line_type_);
  switch (form) {
    case Form::Bulk:
      if (length < 0) {
        --outstanding_;
        return Next::Whole;
      }
      bulk_left_ = length + 2;
      expects_ = Expects::Body;
      return Next::Inside;
    case Form::Values:
      outstanding_ += count - 1;
      break;
    case Form::Pairs:
      outstanding_ += 2 * count - 1;
      break;
    case Form::Attribute:
      outstanding_ += 2 * count;
      break;
    case Form::Line:
    case Form::Unknown:
      return Next::Broken;
  }
  return outstanding_ > static_cast<std::uint64_t>(kLengthMax) ? Next::Broken : Next::Whole;
}

}  // namespace crossfade::redis
