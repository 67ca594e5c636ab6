// The framing of requests, byte for byte as processMultibulkBuffer() and processInlineBuffer() of
// Redis 7.0 do it: a header ends at its '\r' and the byte behind that is skipped unseen, likewise
// the two bytes behind a bulk.
//
// A NUL byte stops the server's search for a line end. Such a line is Broken here, so that the
// server gets it as it is and waits, or refuses, by itself.
#include "protocols/redis/request.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "protocols/redis/inline_args.h"
#include "protocols/redis/number.h"

namespace crossfade::redis {
namespace {

constexpr std::size_t kPlacesKept = 256;      // argument places kept for the next message
constexpr std::size_t kUnescapedKept = 1024;  // bytes kept for the next inline message

}  // namespace

Cut RequestCutter::advance(std::string_view bytes) {
  const char* const begin = bytes.data();
  const char* const end = begin + bytes.size();
  if (declared_ < 0) {
    if (bytes.empty()) return NeedMore{1};
    if (*begin != '*') return advance_inline(bytes);
    const Number count = read_number(begin + 1, end);
    if (count.state == NumberState::Broken) return Broken{"invalid multibulk length"};
    if (count.state == NumberState::NeedMore) return NeedMore{1};
    if (count.value > kArgsMax) return Broken{"invalid multibulk length"};
    const std::size_t header = 1 + count.size + 2;
    if (bytes.size() < header) return NeedMore{1};
    declared_ = std::max<std::int64_t>(count.value, 0);
    position_ = header;
  }
  const auto wanted = static_cast<std::size_t>(declared_);
  const char* at = begin + position_;
  while (args_.size() < wanted) {
    if (open_bulk_ < 0) {
      position_ = static_cast<std::size_t>(at - begin);
      if (at == end) return NeedMore{1};
      if (*at != '$') return Broken{"expected '$'"};
      const Number size = read_number(at + 1, end);
      if (size.state == NumberState::Broken) return Broken{"invalid bulk length"};
      if (size.state == NumberState::NeedMore) return NeedMore{1};
      if (size.value < 0 || size.value > kBulkMax) return Broken{"invalid bulk length"};
      if (static_cast<std::size_t>(end - at) < 1 + size.size + 2) return NeedMore{1};
      at += 1 + size.size + 2;
      open_bulk_ = size.value;
    }
    const auto body = static_cast<std::size_t>(open_bulk_);
    const auto left = static_cast<std::size_t>(end - at);
    if (left < body + 2) {
      position_ = static_cast<std::size_t>(at - begin);
      return NeedMore{body + 2 - left};
    }
    args_.push_back({static_cast<std::size_t>(at - begin), body});
    at += body + 2;
    open_bulk_ = -1;
  }
  position_ = static_cast<std::size_t>(at - begin);
  return Request{position_};
}

Cut RequestCutter::advance_inline(std::string_view bytes) {
  inline_ = true;
  // The server accepts a line end at offset kInlineMax at the latest.
  const std::size_t window = std::min(bytes.size(), kInlineMax + 1);
  const char* const from = bytes.data() + searched_;
  const void* const found = std::memchr(from, '\n', window - searched_);
  const std::size_t searched =
      found != nullptr ? static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data())
                       : window;
  if (std::memchr(from, '\0', searched - searched_) != nullptr) {
    return Broken{"NUL byte in an inline request"};
  }
  searched_ = searched;
  if (found == nullptr) {
    if (bytes.size() > kInlineMax) return Broken{"too big inline request"};
    return NeedMore{1};
  }
  std::string_view line = bytes.substr(0, searched_);
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::size_t at = 0;
  while (true) {
    const std::size_t begin = unescaped_.size();
    const Inline next = next_inline_arg(line, at, unescaped_);
    if (next == Inline::Unbalanced) return Broken{"unbalanced quotes in request"};
    if (next == Inline::End) break;
    args_.push_back({begin, unescaped_.size() - begin});
  }
  declared_ = static_cast<std::int64_t>(args_.size());
  position_ = searched_ + 1;
  return Request{position_};
}

std::string_view RequestCutter::arg(std::size_t index, std::string_view bytes) const {
  assert(index < args_.size());
  const Place place = args_[index];
  const std::string_view source = inline_ ? std::string_view(unescaped_) : bytes;
  assert(place.offset + place.size <= source.size());
  return {source.data() + place.offset, place.size};
}

void RequestCutter::reset() {
  args_.clear();
  if (args_.capacity() > kPlacesKept) args_ = {};
  if (inline_) {
    unescaped_.clear();
    if (unescaped_.capacity() > kUnescapedKept) unescaped_ = {};
  }
  position_ = 0;
  searched_ = 0;
  declared_ = -1;
  open_bulk_ = -1;
  inline_ = false;
}

RequestTail::Step RequestTail::advance(std::string_view bytes) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  const auto step = [&](bool done, bool broken) {
    return Step{static_cast<std::size_t>(at - bytes.data()), done, broken};
  };
  while (args_left_ > 0) {
    if (bulk_left_ > 0) {
      const auto taken = std::min<std::int64_t>(bulk_left_, end - at);
      at += taken;
      bulk_left_ -= taken;
      if (bulk_left_ > 0) return step(false, false);
      --args_left_;
      continue;
    }
    if (at == end) return step(false, false);
    switch (advance_header(*at)) {
      case HeaderStep::Broken:
        return step(false, true);
      case HeaderStep::Inside:
        ++at;
        break;
      case HeaderStep::Ends:
        ++at;
        bulk_left_ = header_ + 2;
        break;
    }
  }
  return step(true, false);
}

RequestTail::HeaderStep RequestTail::advance_header(char c) {
  const auto digit = static_cast<unsigned>(c - '0');
  switch (header_state_) {
    case Header::Dollar:
      if (c != '$') return HeaderStep::Broken;
      header_ = 0;
      header_state_ = Header::FirstDigit;
      return HeaderStep::Inside;
    case Header::FirstDigit:
      if (digit > 9) return HeaderStep::Broken;
      header_ = digit;
      header_state_ = digit == 0 ? Header::Return : Header::Digits;
      return HeaderStep::Inside;
    case Header::Digits:
      if (digit <= 9) {
        header_ = header_ * 10 + digit;
        return header_ > kBulkMax ? HeaderStep::Broken : HeaderStep::Inside;
      }
      [[fallthrough]];
    case Header::Return:
      if (c != '\r') return HeaderStep::Broken;
      header_state_ = Header::Newline;
      return HeaderStep::Inside;
    case Header::Newline:
      header_state_ = Header::Dollar;
      return HeaderStep::Ends;
  }
  return HeaderStep::Broken;
}

}  // namespace crossfade::redis
