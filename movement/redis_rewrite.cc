// The commands of each type; streams as Redis' own AOF rewriting does it.
#include "movement/redis_rewrite.h"

#include <algorithm>
#include <span>
#include <utility>

namespace crossfade {

namespace {

constexpr std::size_t kArguments_most = 512;  // of one command: the server is not held up by it
constexpr std::string_view kFirstId = "0-0";

class Writer {
 public:
  explicit Writer(std::string_view key) : key_(key) {}

  void add(RedisCommand command) { rewrite_.commands.push_back(std::move(command)); }

  void add_items(std::string_view name, const std::vector<std::string>& items) {
    for (std::size_t at = 0; at < items.size(); at += kArguments_most) {
      const std::size_t end = std::min(items.size(), at + kArguments_most);
      RedisCommand command{name, key_};
      command.insert(command.end(), items.begin() + static_cast<std::ptrdiff_t>(at),
                     items.begin() + static_cast<std::ptrdiff_t>(end));
      add(std::move(command));
    }
  }

  // ZADD wants the score first.
  void add_members(const std::vector<std::string>& items) {
    RedisCommand command;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (command.empty()) command = {"ZADD", key_};
      command.emplace_back(items[i + 1]);
      command.emplace_back(items[i]);
      if (command.size() >= kArguments_most || i + 3 >= items.size()) {
        add(std::exchange(command, {}));
      }
    }
  }

  void add_stream(const StreamContent& stream, bool tells_counters) {
    if (stream.entries.empty()) add_empty_stream();
    for (const StreamEntry& entry : stream.entries) {
      RedisCommand command{"XADD", key_, entry.id};
      command.insert(command.end(), entry.fields.begin(), entry.fields.end());
      add(std::move(command));
    }
    if (stream.last_id != kFirstId) {
      RedisCommand command{"XSETID", key_, stream.last_id};
      if (tells_counters && stream.entries_added && stream.max_deleted_id) {
        command.insert(command.end(), {"ENTRIESADDED", number(*stream.entries_added),
                                       "MAXDELETEDID", *stream.max_deleted_id});
      }
      add(std::move(command));
    }
    for (const StreamGroup& group : stream.groups) add_group(group, tells_counters);
  }

  Rewrite take() { return std::move(rewrite_); }

 private:
  std::string_view number(std::int64_t value) {
    return rewrite_.made.emplace_back(std::to_string(value));
  }

  // A stream that exists and holds nothing.
  void add_empty_stream() {
    add({"XGROUP", "CREATE", key_, "crossfade", "0", "MKSTREAM"});
    add({"XGROUP", "DESTROY", key_, "crossfade"});
  }

  void add_group(const StreamGroup& group, bool tells_counters) {
    RedisCommand command{"XGROUP", "CREATE", key_, group.name, group.last_id};
    if (tells_counters && group.entries_read) {
      command.insert(command.end(), {"ENTRIESREAD", number(*group.entries_read)});
    }
    add(std::move(command));
    for (const StreamConsumer& consumer : group.consumers) {
      if (consumer.pending.empty()) {  // the others come into being with what they own
        add({"XGROUP", "CREATECONSUMER", key_, group.name, consumer.name});
      }
      for (const StreamPending& pending : consumer.pending) {
        add({"XCLAIM", key_, group.name, consumer.name, "0", pending.id, "TIME",
             number(pending.delivered_ms), "RETRYCOUNT", number(pending.deliveries), "FORCE",
             "JUSTID"});
      }
    }
  }

  std::string_view key_;
  Rewrite rewrite_;
};

void add_content(Writer& writer, std::string_view key, const Content& content,
                 bool tells_counters) {
  switch (content.type) {
    case ValueType::String:
      writer.add({"SET", key, content.items.front()});
      return;
    case ValueType::List:
      writer.add_items("RPUSH", content.items);
      return;
    case ValueType::Set:
      writer.add_items("SADD", content.items);
      return;
    case ValueType::Hash:
      writer.add_items("HSET", content.items);
      return;
    case ValueType::Zset:
      writer.add_members(content.items);
      return;
    case ValueType::Stream:
      writer.add_stream(content.stream, tells_counters);
      return;
    case ValueType::None:
    case ValueType::Unknown:
      return;  // nobody reads the content of these
  }
}

}  // namespace

Rewrite rewrite_of(std::string_view key, const Content& content, std::int64_t expires_ms,
                   bool tells_counters) {
  Writer writer(key);
  writer.add({"MULTI"});
  writer.add({"DEL", key});
  add_content(writer, key, content, tells_counters);
  Rewrite rewrite = writer.take();
  if (expires_ms >= 0) {
    rewrite.commands.push_back(
        {"PEXPIREAT", key, rewrite.made.emplace_back(std::to_string(expires_ms))});
  }
  rewrite.commands.push_back({"EXEC"});
  return rewrite;
}

}  // namespace crossfade
