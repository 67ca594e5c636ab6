// One table of how each type is read.
#include "movement/key_content.h"

#include <array>
#include <charconv>
#include <initializer_list>

#include "movement/reply_value.h"

namespace crossfade {

namespace {

struct TypeReader {
  std::string_view type;
  std::string_view length;  // the command that tells the length
  std::int64_t length_max;
  std::string_view read;
  std::array<std::string_view, 3> options;  // behind the key
};

constexpr std::array kReaders = {
    TypeReader{"+string\r\n", "strlen", kContentBytesMax, "get", {}},
    TypeReader{"+list\r\n", "llen", kContentElementsMax, "lrange", {"0", "-1"}},
    TypeReader{"+set\r\n", "scard", kContentElementsMax, "smembers", {}},
    TypeReader{"+hash\r\n", "hlen", kContentElementsMax, "hgetall", {}},
    TypeReader{"+zset\r\n", "zcard", kContentElementsMax, "zrange", {"0", "-1", "WITHSCORES"}},
    TypeReader{"+stream\r\n", "xlen", kContentElementsMax, "xrange", {"-", "+"}},
};

void append_argument(std::string_view argument, std::string& out) {
  out += '$';
  out += std::to_string(argument.size());
  out += "\r\n";
  out += argument;
  out += "\r\n";
}

std::string command(std::string_view name, std::string_view key,
                    const std::array<std::string_view, 3>& options = {}) {
  std::size_t count = 2;
  while (count - 2 < options.size() && !options[count - 2].empty()) ++count;
  std::string request = "*" + std::to_string(count) + "\r\n";
  append_argument(name, request);
  append_argument(key, request);
  for (std::size_t i = 0; i + 2 < count; ++i) append_argument(options[i], request);
  return request;
}

// Asks; an error reply is an error, unless the key has become another type meanwhile, which the
// other questions show.
Status ask_into(const AskServer& ask, const std::string& request, std::string& reply) {
  auto told = ask(request);
  if (!told) return told.error();
  if (told->starts_with('-') && !told->starts_with("-WRONGTYPE")) {
    return Error{Errc::BadConfig, "read a key", told->substr(1, told->size() - 3)};
  }
  reply = std::move(*told);
  return success();
}

std::int64_t number_of(std::string_view reply) {
  std::int64_t number = 0;
  if (reply.starts_with(':')) {
    std::from_chars(reply.data() + 1, reply.data() + reply.size(), number);
  }
  return number;
}

}  // namespace

Result<KeyContent> read_content(const AskServer& ask, std::string_view key) {
  KeyContent content;
  if (auto asked = ask_into(ask, command("type", key), content.type); !asked) return asked.error();
  if (content.type == "+none\r\n") return content;
  if (auto asked = ask_into(ask, command("pttl", key), content.expiry); !asked) {
    return asked.error();
  }
  for (const TypeReader& reader : kReaders) {
    if (content.type != reader.type) continue;
    if (auto asked = ask_into(ask, command(reader.length, key), content.length); !asked) {
      return asked.error();
    }
    content.reader = reader.read;
    if (number_of(content.length) > reader.length_max) return content;
    if (auto asked = ask_into(ask, command(reader.read, key, reader.options), content.value);
        !asked) {
      return asked.error();
    }
    return content;
  }
  content.reader = "dump of a type that nobody knows";  // exactly: DUMP itself says nothing
  if (auto asked = ask_into(ask, command("dump", key), content.value); !asked) {
    return asked.error();
  }
  return content;
}

std::optional<Meaning> judge_contents(const KeyContent& one, const KeyContent& other) {
  if (one.type != other.type || one.length != other.length) return Meaning::Different;
  if (judge("pttl", one.expiry, other.expiry) == Meaning::Different) return Meaning::Different;
  const bool none = one.type == "+none\r\n";
  if (!none && (one.value.empty() || other.value.empty())) return std::nullopt;
  return judge(one.reader, one.value, other.value);
}

}  // namespace crossfade
