// Reading content, and comparing it.
#include "movement/redis_content.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>

namespace crossfade {

namespace {

using Elements = std::vector<RedisReply>;

// Deliveries of the same entry on two servers are the same within this.
constexpr std::int64_t kDeliverySlack_ms = 1'000;

RedisCommand size_of(ValueType type, std::string_view key) {
  switch (type) {
    case ValueType::String:
      return {"STRLEN", key};
    case ValueType::List:
      return {"LLEN", key};
    case ValueType::Set:
      return {"SCARD", key};
    case ValueType::Hash:
      return {"HLEN", key};
    case ValueType::Zset:
      return {"ZCARD", key};
    case ValueType::Stream:
      return {"XLEN", key};
    case ValueType::None:
    case ValueType::Unknown:
      return {};
  }
  return {};
}

std::vector<RedisCommand> questions_of(ValueType type, std::string_view key) {
  switch (type) {
    case ValueType::String:
      return {{"GET", key}};
    case ValueType::List:
      return {{"LRANGE", key, "0", "-1"}};
    case ValueType::Set:
      return {{"SMEMBERS", key}};
    case ValueType::Hash:
      return {{"HGETALL", key}};
    case ValueType::Zset:
      return {{"ZRANGE", key, "0", "-1", "WITHSCORES"}};
    case ValueType::Stream:
      return {{"XRANGE", key, "-", "+"}, {"XINFO", "STREAM", key, "FULL", "COUNT", "0"}};
    case ValueType::None:
    case ValueType::Unknown:
      return {};
  }
  return {};
}

std::vector<std::string> texts_of(Elements& elements) {
  std::vector<std::string> texts;
  texts.reserve(elements.size());
  for (RedisReply& element : elements) texts.push_back(std::move(element.text));
  return texts;
}

// Field, value, …: in the order of the fields.
std::vector<std::string> sorted_pairs(std::vector<std::string> items) {
  std::vector<std::pair<std::string, std::string>> pairs;
  pairs.reserve(items.size() / 2);
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    pairs.emplace_back(std::move(items[i]), std::move(items[i + 1]));
  }
  std::sort(pairs.begin(), pairs.end());
  items.clear();
  for (auto& [field, value] : pairs) {
    items.push_back(std::move(field));
    items.push_back(std::move(value));
  }
  return items;
}

// --- streams ---

// The value of a name in a map, which RESP2 gives as an array of pairs; nullptr when it has none.
RedisReply* member(RedisReply& map, std::string_view name) {
  for (std::size_t i = 0; i + 1 < map.elements.size(); i += 2) {
    if (map.elements[i].text == name) return &map.elements[i + 1];
  }
  return nullptr;
}

std::string text_of(RedisReply& map, std::string_view name) {
  const RedisReply* found = member(map, name);
  return found == nullptr ? std::string() : found->text;
}

std::optional<std::int64_t> number_of(RedisReply& map, std::string_view name) {
  const RedisReply* found = member(map, name);
  if (found == nullptr || found->type != RedisReply::Type::Number) return std::nullopt;
  return found->number;
}

std::optional<StreamConsumer> consumer_of(RedisReply& told) {
  StreamConsumer consumer{.name = text_of(told, "name"), .pending = {}};
  RedisReply* pending = member(told, "pel");
  if (pending == nullptr) pending = member(told, "pending");
  if (pending == nullptr) return std::nullopt;
  for (RedisReply& one : pending->elements) {
    if (one.elements.size() != 3) return std::nullopt;
    consumer.pending.push_back({.id = one.elements[0].text,
                                .delivered_ms = one.elements[1].number,
                                .deliveries = one.elements[2].number});
  }
  return consumer;
}

// Since Redis 7; null where the server has lost count, which clients see as an unknown lag.
std::optional<std::int64_t> entries_read_in(RedisReply& group) {
  RedisReply* found = member(group, "entries-read");
  if (found != nullptr && found->type == RedisReply::Type::Nil) return kCountLost;
  return number_of(group, "entries-read");
}

std::optional<StreamGroup> group_of(RedisReply& told) {
  StreamGroup group{.name = text_of(told, "name"),
                    .last_id = text_of(told, "last-delivered-id"),
                    .entries_read = entries_read_in(told),
                    .consumers = {}};
  RedisReply* consumers = member(told, "consumers");
  if (consumers == nullptr) return std::nullopt;
  for (RedisReply& one : consumers->elements) {
    auto consumer = consumer_of(one);
    if (!consumer) return std::nullopt;
    group.consumers.push_back(std::move(*consumer));
  }
  return group;
}

// nullopt: told in a form that this does not know.
std::optional<StreamContent> stream_of(RedisReply& entries, RedisReply& info) {
  StreamContent stream{.entries = {},
                       .last_id = text_of(info, "last-generated-id"),
                       .entries_added = number_of(info, "entries-added"),
                       .max_deleted_id = std::nullopt,
                       .groups = {}};
  if (member(info, "max-deleted-entry-id") != nullptr) {
    stream.max_deleted_id = text_of(info, "max-deleted-entry-id");
  }
  for (RedisReply& entry : entries.elements) {
    if (entry.elements.size() != 2) return std::nullopt;
    stream.entries.push_back(
        {std::move(entry.elements[0].text), texts_of(entry.elements[1].elements)});
  }
  RedisReply* groups = member(info, "groups");
  if (groups == nullptr || stream.last_id.empty()) return std::nullopt;
  for (RedisReply& one : groups->elements) {
    auto group = group_of(one);
    if (!group) return std::nullopt;
    stream.groups.push_back(std::move(*group));
  }
  return stream;
}

bool same_pending(const StreamPending& one, const StreamPending& other) {
  return one.id == other.id && one.deliveries == other.deliveries &&
         std::abs(one.delivered_ms - other.delivered_ms) <= kDeliverySlack_ms;
}

bool same_consumer(const StreamConsumer& one, const StreamConsumer& other) {
  return one.name == other.name &&
         std::equal(one.pending.begin(), one.pending.end(), other.pending.begin(),
                    other.pending.end(), same_pending);
}

// What only one of the servers can tell is no difference.
template <class T>
bool same_if_told(const std::optional<T>& one, const std::optional<T>& other) {
  return !one || !other || *one == *other;
}

bool same_group(const StreamGroup& one, const StreamGroup& other) {
  return one.name == other.name && one.last_id == other.last_id &&
         same_if_told(one.entries_read, other.entries_read) &&
         std::equal(one.consumers.begin(), one.consumers.end(), other.consumers.begin(),
                    other.consumers.end(), same_consumer);
}

bool same_stream(const StreamContent& one, const StreamContent& other) {
  return one.last_id == other.last_id && one.entries == other.entries &&
         same_if_told(one.entries_added, other.entries_added) &&
         same_if_told(one.max_deleted_id, other.max_deleted_id) &&
         std::equal(one.groups.begin(), one.groups.end(), other.groups.begin(), other.groups.end(),
                    same_group);
}

// --- strings and sorted sets ---

// As Redis' hyperloglog.c lays it out: "HYLL", encoding, 3 unused bytes, 8 of the last estimate.
constexpr std::size_t kSketchHeader = 16;
constexpr std::size_t kSketchDense = kSketchHeader + 12'288;
constexpr std::size_t kSketchRegisters = 16'384;

// Runs of the sparse encoding: 00xxxxxx zeros, 01xxxxxx yyyyyyyy zeros, 1vvvvvxx of one value.
bool are_sparse_registers(std::string_view runs) {
  std::size_t registers = 0;
  for (std::size_t at = 0; at < runs.size() && registers <= kSketchRegisters; ++at) {
    const auto run = static_cast<std::uint8_t>(runs[at]);
    if ((run & 0x80) != 0) {
      registers += (run & 0x03U) + 1U;
    } else if ((run & 0x40) == 0) {
      registers += run + 1U;
    } else {
      if (++at == runs.size()) return false;
      registers += ((run & 0x3FU) << 8 | static_cast<std::uint8_t>(runs[at])) + 1U;
    }
  }
  return registers == kSketchRegisters;
}

// Whatever only looks like one is a text, of which every byte counts.
bool is_sketch(std::string_view text) {
  if (text.size() < kSketchHeader || !text.starts_with("HYLL")) return false;
  if (text.substr(5, 3) != std::string_view("\0\0\0", 3)) return false;
  return text[4] == 1 ? are_sparse_registers(text.substr(kSketchHeader))
                      : text[4] == 0 && text.size() == kSketchDense;
}

bool same_text(std::string_view one, std::string_view other) {
  if (one == other) return true;
  if (!is_sketch(one) || !is_sketch(other)) return false;
  return one.substr(0, 8) == other.substr(0, 8) &&
         one.substr(kSketchHeader) == other.substr(kSketchHeader);
}

// Releases write the same number with more or fewer digits.
bool same_score(std::string_view one, std::string_view other) {
  if (one == other) return true;
  double first = 0;
  double second = 0;
  const auto read = [](std::string_view text, double& value) {
    return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
  };
  return read(one, first) && read(other, second) && first == second;
}

bool same_members(const std::vector<std::string>& one, const std::vector<std::string>& other) {
  if (one.size() != other.size()) return false;
  for (std::size_t i = 0; i + 1 < one.size(); i += 2) {
    if (one[i] != other[i] || !same_score(one[i + 1], other[i + 1])) return false;
  }
  return true;
}

std::optional<Content> content_of(ValueType type, Elements& replies) {
  for (const RedisReply& reply : replies) {
    if (reply.is_error() || reply.type == RedisReply::Type::Nil) return std::nullopt;
  }
  Content content{.type = type, .items = {}, .stream = {}};
  RedisReply& first = replies.front();
  switch (type) {
    case ValueType::String:
      content.items.push_back(std::move(first.text));
      return content;
    case ValueType::Set:
      content.items = texts_of(first.elements);
      std::sort(content.items.begin(), content.items.end());
      return content;
    case ValueType::Hash:
      content.items = sorted_pairs(texts_of(first.elements));
      return content;
    case ValueType::List:
    case ValueType::Zset:
      content.items = texts_of(first.elements);
      return content;
    case ValueType::Stream: {
      auto stream = stream_of(first, replies.back());
      if (!stream) return std::nullopt;
      content.stream = std::move(*stream);
      return content;
    }
    case ValueType::None:
    case ValueType::Unknown:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

Result<std::optional<std::uint64_t>> read_size(RedisLine& line, std::string_view key,
                                               ValueType type) {
  using Size = std::optional<std::uint64_t>;
  const RedisCommand question = size_of(type, key);
  if (question.empty()) return Size();
  auto size = line.connection().call(question);
  if (!size) {
    line.give_up(RedisLine::Under::Reading);
    return size.error();
  }
  if (size->type != RedisReply::Type::Number) return Size();
  return Size(static_cast<std::uint64_t>(size->number));
}

Result<std::optional<Content>> read_content(RedisLine& line, std::string_view key,
                                            const RedisValue& value, const ContentLimits& limits) {
  const ValueType type = value.type();
  if (value.dump.size() > limits.bytes_max) return std::optional<Content>();
  auto size = read_size(line, key, type);
  if (!size) return size.error();
  // A dump may hold a string compressed.
  const std::uint64_t most = type == ValueType::String ? limits.bytes_max : limits.elements_max;
  if (size->value_or(most + 1) > most) return std::optional<Content>();
  auto replies = line.connection().call_all(questions_of(type, key));
  if (!replies) {
    line.give_up(RedisLine::Under::Reading);
    return replies.error();
  }
  return content_of(type, *replies);
}

bool same_content(const Content& one, const Content& other) {
  if (one.type != other.type) return false;
  switch (one.type) {
    case ValueType::String:
      return same_text(one.items.front(), other.items.front());
    case ValueType::Zset:
      return same_members(one.items, other.items);
    case ValueType::Stream:
      return same_stream(one.stream, other.stream);
    case ValueType::List:
    case ValueType::Set:
    case ValueType::Hash:
      return one.items == other.items;
    case ValueType::None:
    case ValueType::Unknown:
      return false;
  }
  return false;
}

Result<Sameness> compare_values(const BothLines& lines, std::string_view key,
                                const BothValues& values, const ContentLimits& limits) {
  if (values[0].content() == values[1].content()) return Sameness::Same;
  if (values[0].type() == ValueType::Unknown || values[1].type() == ValueType::Unknown) {
    return Sameness::Untold;
  }
  if (values[0].type() != values[1].type()) return Sameness::Different;
  std::array<std::optional<Content>, 2> contents;
  for (std::size_t side = 0; side < lines.size(); ++side) {
    auto content = read_content(*lines[side], key, values[side], limits);
    if (!content) return content.error();
    if (!content->has_value()) return Sameness::Untold;
    contents[side] = std::move(**content);
  }
  return same_content(*contents[0], *contents[1]) ? Sameness::Same : Sameness::Different;
}

}  // namespace crossfade
