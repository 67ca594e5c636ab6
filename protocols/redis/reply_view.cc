// Reading whole replies in place.
#include "protocols/redis/reply_view.h"

#include "protocols/redis/number.h"
#include "protocols/redis/reply.h"

namespace crossfade::redis {
namespace {

// Takes one whole value off the front of `bytes`; empty when there is none.
std::string_view take_value(std::string_view& bytes) {
  ReplyScanner scanner;
  const ReplyScanner::Step step = scanner.advance(bytes);
  if (step.state != ReplyScanner::State::Complete) return {};
  const std::string_view value = bytes.substr(0, step.consumed);
  bytes.remove_prefix(step.consumed);
  return value;
}

// Takes the type byte and the number behind it off the front.
std::optional<std::int64_t> take_head(std::string_view& bytes) {
  if (bytes.empty()) return std::nullopt;
  const Number number = read_number(bytes.data() + 1, bytes.data() + bytes.size());
  const std::size_t size = 1 + number.size + 2;
  if (number.state != NumberState::Whole || bytes.size() < size || bytes[size - 1] != '\n') {
    return std::nullopt;
  }
  bytes.remove_prefix(size);
  return number.value;
}

// The reply without its attributes; empty when it is not one whole reply.
std::string_view plain(std::string_view reply) {
  std::string_view rest = reply;
  if (take_value(rest).empty() || !rest.empty()) return {};
  while (reply.starts_with('|')) {
    const std::optional<std::int64_t> pairs = take_head(reply);
    if (!pairs || *pairs < 0) return {};
    for (std::int64_t i = 0; i < 2 * *pairs; ++i) {
      if (take_value(reply).empty()) return {};
    }
  }
  return reply;
}

bool is_aggregate(std::string_view plain_reply) {
  return !plain_reply.empty() && std::string_view("*~>%").find(plain_reply[0]) != plain_reply.npos;
}

}  // namespace

bool is_null(std::string_view reply) {
  const std::string_view value = plain(reply);
  return value.starts_with('_') || value.starts_with("$-") || value.starts_with("*-");
}

bool is_error(std::string_view reply) {
  const std::string_view value = plain(reply);
  return value.starts_with('-') || value.starts_with('!');
}

std::optional<std::int64_t> integer_in(std::string_view reply) {
  std::string_view value = plain(reply);
  if (!value.starts_with(':')) return std::nullopt;
  return take_head(value);
}

std::optional<std::string_view> text_in(std::string_view reply) {
  std::string_view value = plain(reply);
  if (value.starts_with('+')) return value.substr(1, value.size() - 3);
  if (!value.starts_with('$')) return std::nullopt;
  const std::optional<std::int64_t> size = take_head(value);
  if (!size || *size < 0) return std::nullopt;
  return value.substr(0, static_cast<std::size_t>(*size));
}

bool split_elements(std::string_view reply, std::vector<std::string_view>& out) {
  std::string_view rest = plain(reply);
  if (!is_aggregate(rest)) return false;
  const bool pairs = rest[0] == '%';
  const std::optional<std::int64_t> count = take_head(rest);
  if (!count || *count < 0) return false;
  const std::size_t before = out.size();
  while (!rest.empty()) {
    const std::string_view element = take_value(rest);
    if (element.empty()) break;
    out.push_back(element);
  }
  const auto promised = static_cast<std::size_t>(*count) * (pairs ? 2 : 1);
  if (rest.empty() && out.size() - before == promised) return true;
  out.resize(before);
  return false;
}

}  // namespace crossfade::redis
