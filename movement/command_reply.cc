// Reading COMMAND's nested reply, believing nothing about its shape.
#include "movement/command_reply.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

namespace crossfade {

namespace {

using redis::CommandReplyEntry;
using redis::KeySpec;
using Elements = std::vector<RedisReply>;

const Elements kNone;

// Elements of the reply's entry; see "COMMAND" in the Redis documentation.
enum Position : std::size_t {
  kName = 0,
  kFlags = 2,
  kFirstKey = 3,
  kLastKey = 4,
  kKeyStep = 5,
  kTips = 7,  // from here on since Redis 7
  kKeySpecs = 8,
  kSubcommands = 9
};

const Elements& list_at(const RedisReply& entry, std::size_t index) {
  return index < entry.elements.size() ? entry.elements[index].elements : kNone;
}

int number_at(const RedisReply& entry, std::size_t index) {
  return index < entry.elements.size() ? static_cast<int>(entry.elements[index].number) : 0;
}

std::vector<std::string> texts_of(const Elements& list) {
  std::vector<std::string> texts;
  for (const RedisReply& element : list) texts.push_back(element.text);
  return texts;
}

// The value of a key in a map, which RESP2 gives as an array of pairs; nullptr when it has none.
const RedisReply* member(const RedisReply* map, std::string_view name) {
  if (map == nullptr) return nullptr;
  for (std::size_t i = 0; i + 1 < map->elements.size(); i += 2) {
    if (map->elements[i].text == name) return &map->elements[i + 1];
  }
  return nullptr;
}

std::string text_of(const RedisReply* map, std::string_view name) {
  const RedisReply* value = member(map, name);
  return value == nullptr ? std::string() : value->text;
}

int number_of(const RedisReply* map, std::string_view name) {
  const RedisReply* value = member(map, name);
  return value == nullptr ? 0 : static_cast<int>(value->number);
}

// nullopt for what names no key, and for "unknown" and sorts that are newer than this: the command
// table has its own knowledge of those.
std::optional<KeySpec> read_key_spec(const RedisReply& reply) {
  const RedisReply* flags = member(&reply, "flags");
  const bool names_no_key =
      flags != nullptr &&
      std::any_of(flags->elements.begin(), flags->elements.end(),
                  [](const RedisReply& flag) { return flag.text == "not_key"; });
  if (names_no_key) return std::nullopt;
  const RedisReply* begin = member(&reply, "begin_search");
  const RedisReply* find = member(&reply, "find_keys");
  const RedisReply* from = member(begin, "spec");
  const RedisReply* range = member(find, "spec");
  KeySpec spec;
  const std::string begin_type = text_of(begin, "type");
  if (begin_type == "keyword") {
    spec.begin = KeySpec::Begin::Keyword;
    spec.keyword = text_of(from, "keyword");
    spec.index = number_of(from, "startfrom");
  } else if (begin_type == "index") {
    spec.index = number_of(from, "index");
  } else {
    return std::nullopt;
  }
  const std::string find_type = text_of(find, "type");
  if (find_type == "keynum") {
    spec.find = KeySpec::Find::KeyNum;
    spec.keynum_index = number_of(range, "keynumidx");
    spec.first_key = number_of(range, "firstkey");
  } else if (find_type == "range") {
    spec.last = number_of(range, "lastkey");
    spec.limit = number_of(range, "limit");
  } else {
    return std::nullopt;
  }
  spec.step = std::max(number_of(range, "keystep"), 1);
  return spec;
}

std::vector<CommandReplyEntry> read_entries(const Elements& list, int depth_left);

CommandReplyEntry read_entry(const RedisReply& reply, int depth_left) {
  CommandReplyEntry entry;
  entry.name = reply.elements[kName].text;
  entry.flags = texts_of(list_at(reply, kFlags));
  entry.first_key = number_at(reply, kFirstKey);
  entry.last_key = number_at(reply, kLastKey);
  entry.key_step = number_at(reply, kKeyStep);
  entry.tips = texts_of(list_at(reply, kTips));
  for (const RedisReply& one : list_at(reply, kKeySpecs)) {
    if (auto spec = read_key_spec(one)) entry.keys.push_back(std::move(*spec));
  }
  entry.subcommands = read_entries(list_at(reply, kSubcommands), depth_left - 1);
  return entry;
}

std::vector<CommandReplyEntry> read_entries(const Elements& list, int depth_left) {
  std::vector<CommandReplyEntry> entries;
  if (depth_left == 0) return entries;
  for (const RedisReply& reply : list) {
    const bool known_shape =
        reply.elements.size() > kKeyStep && reply.elements[kName].type == RedisReply::Type::Text;
    if (known_shape) entries.push_back(read_entry(reply, depth_left));
  }
  return entries;
}

}  // namespace

std::vector<CommandReplyEntry> read_command_reply(const RedisReply& reply) {
  return read_entries(reply.elements, 2);  // commands and their subcommands
}

}  // namespace crossfade
