// The words, and finding them in a text.
#include "protocols/redis/script_words.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace crossfade::redis {
namespace {

// Sorted, lower case.
constexpr std::string_view kWords[] = {
    "acl_check_cmd", "clock",       "collectgarbage", "dbsize",         "ex",
    "exat",          "expire",      "expireat",       "getex",          "hexpire",
    "hexpireat",     "hgetall",     "hgetex",         "hkeys",          "hpexpire",
    "hpexpireat",    "hrandfield",  "hscan",          "hsetex",         "hvals",
    "lastsave",      "move",        "object",         "pexpire",        "pexpireat",
    "psetex",        "pttl",        "publish",        "pubsub",         "px",
    "pxat",          "random",      "randomkey",      "redis_version",  "redis_version_num",
    "restore",       "scan",        "sdiff",          "server_version", "server_version_num",
    "setex",         "sinter",      "slowlog",        "smembers",       "spop",
    "spublish",      "srandmember", "sscan",          "sunion",         "swapdb",
    "time",          "ttl",         "waitaof",        "xadd",           "xautoclaim",
    "xclaim",        "xinfo",       "xpending",       "xtrim",          "zrandmember",
    "zscan",
};
static_assert(std::is_sorted(std::begin(kWords), std::end(kWords)));

// Those that Lua, or every script, uses as well: they count between quotes only.
constexpr std::string_view kQuotedWords[] = {"client",  "command", "dump", "info", "keys",
                                             "latency", "memory",  "role", "sort", "wait"};

constexpr std::size_t kWordMax = 18;

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

constexpr bool is_word_char(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '_';
}

bool is_quote(char c) { return c == '\'' || c == '"'; }

struct Lowered {
  std::array<char, kWordMax> chars;
  std::size_t size;
  std::string_view text() const { return {chars.data(), size}; }
};
Lowered lowered(std::string_view word) {
  Lowered small{{}, std::min(word.size(), kWordMax)};
  std::transform(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(small.size),
                 small.chars.begin(), lower);
  return small;
}

bool listed(std::string_view word, bool quoted) {
  if (word.size() < 2 || word.size() > kWordMax) return false;
  const Lowered small = lowered(word);
  if (std::binary_search(std::begin(kWords), std::end(kWords), small.text())) return true;
  return quoted && std::find(std::begin(kQuotedWords), std::end(kQuotedWords), small.text()) !=
                       std::end(kQuotedWords);
}

// tostring({}), tostring(function … : where it lies in that server's memory.
bool names_an_address(std::string_view word, std::string_view behind) {
  if (word != "tostring") return false;
  const std::size_t argument = behind.find_first_not_of("( \t\r\n");
  if (argument == behind.npos) return false;
  behind.remove_prefix(argument);
  return behind.starts_with('{') || behind.starts_with("function");
}

}  // namespace

bool is_word_of_chance(std::string_view word) { return listed(word, true); }

bool hangs_on_chance(std::string_view script) {
  for (std::size_t at = 0; at < script.size();) {
    std::size_t end = at;
    while (end < script.size() && is_word_char(script[end])) ++end;
    const bool quoted = at > 0 && is_quote(script[at - 1]);
    const std::string_view word = script.substr(at, end - at);
    if (end > at && (listed(word, quoted) || names_an_address(word, script.substr(end)))) {
      return true;
    }
    at = end + 1;
  }
  return false;
}

}  // namespace crossfade::redis
