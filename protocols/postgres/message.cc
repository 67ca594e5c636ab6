// Types and limits by stream, as SocketBackend() and CopyGetData() of PostgreSQL 15 and
// pqParseInput3() of its libpq have them.
#include "protocols/postgres/message.h"

#include <algorithm>
#include <array>

#include "protocols/postgres/fields.h"
#include "protocols/postgres/types.h"

namespace crossfade::postgres {
namespace {

enum class Handing : std::uint8_t { Unknown, Whole, Passing };
struct TypeRule {
  Handing handing = Handing::Unknown;
  std::uint32_t length_max = 0;
};
using Rules = std::array<TypeRule, 128>;

constexpr void add(Rules& rules, std::string_view types, TypeRule rule) {
  for (const char type : types) rules[static_cast<unsigned char>(type)] = rule;
}

constexpr Rules client_login_rules() {
  Rules rules{};
  add(rules, "p", {Handing::Whole, kPasswordMax});
  return rules;
}

constexpr Rules client_rules() {
  Rules rules{};
  add(rules, "QFBP", {Handing::Whole, kClientLargeMax});
  add(rules, "CDEHSXcf", {Handing::Whole, kClientSmallMax});
  add(rules, "d", {Handing::Passing, kClientLargeMax});
  return rules;
}

constexpr Rules server_login_rules() {
  Rules rules{};
  add(rules, "RKSZENv", {Handing::Whole, kServerLoginMax});
  return rules;
}

// Of what libpq takes at any length only rows and data pass by; 't' may have 65,535 parameters, and
// 'S' is as long as a setting's value.
constexpr Rules server_rules() {
  Rules rules{};
  add(rules, "123CIGHWZcns", {Handing::Whole, kServerSmallMax});
  add(rules, "TtSENA", {Handing::Whole, kServerLargeMax});
  add(rules, "DdV", {Handing::Passing, kServerLargeMax});
  return rules;
}

constexpr std::array<Rules, 4> kRules{client_login_rules(), client_rules(), server_login_rules(),
                                      server_rules()};

TypeRule rule_of(Stream stream, char type) {
  const auto index = static_cast<unsigned char>(type);
  return index < 128 ? kRules[static_cast<std::size_t>(stream)][index] : TypeRule{};
}

const char* unknown_type(Stream stream) {
  switch (stream) {
    case Stream::ClientLogin:
      return "expected a password message";
    case Stream::Client:
      return "invalid frontend message type";
    case Stream::ServerLogin:
      return "the server sent no message of a login";
    case Stream::Server:
      return "invalid backend message type";
  }
  return "invalid message type";
}

}  // namespace

Cut MessageCutter::next(std::string_view bytes) {
  if (at_boundary()) return begin(bytes);
  if (bytes.empty()) return NeedMore{1};
  const std::string_view here = bytes.substr(0, size_ - offset_);
  const Piece piece{type_, size_, offset_, here};
  offset_ += here.size();
  return piece;
}

Cut MessageCutter::begin(std::string_view bytes) {
  if (bytes.empty()) return NeedMore{kHeaderSize};
  const TypeRule rule = rule_of(stream_, bytes[0]);
  if (rule.handing == Handing::Unknown) return Broken{unknown_type(stream_)};
  if (bytes.size() < kHeaderSize) return NeedMore{kHeaderSize - bytes.size()};
  const std::uint32_t length = read_u32(bytes.data() + 1);
  if (length < 4) return Broken{"length smaller than its own field"};
  if (length > rule.length_max) return Broken{"message too long for its type"};
  const std::size_t size = 1 + std::size_t{length};  // widened first: no 32-bit wrap
  if (bytes.size() < size && rule.handing == Handing::Whole) {
    const std::size_t wanted = std::min(size, whole_max_);
    if (bytes.size() < wanted) return NeedMore{wanted - bytes.size()};
  }
  const std::string_view here(bytes.data(), std::min(bytes.size(), size));
  type_ = bytes[0];
  size_ = size;
  offset_ = here.size();
  return Piece{type_, size, 0, here};
}

Run run_of(char type, std::string_view bytes) {
  Run run{0, 0};
  while (run.size < bytes.size() && bytes[run.size] == type) {
    const std::size_t size = whole_size(bytes.substr(run.size), kClientLargeMax);
    if (size == 0) break;
    run.size += size;
    ++run.messages;
  }
  return run;
}

}  // namespace crossfade::postgres
