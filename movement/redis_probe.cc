// Asking a Redis server about itself.
#include "movement/redis_probe.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "movement/command_reply.h"
#include "movement/redis_connection.h"
#include "movement/redis_fence.h"

namespace crossfade {

namespace {

using Info = std::map<std::string, std::string, std::less<>>;

std::uint64_t number_in(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Info parse_info(std::string_view text) {
  Info info;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const std::size_t colon = line.find(':');
    if (line.starts_with('#') || colon == line.npos) continue;
    info.emplace(line.substr(0, colon), line.substr(colon + 1));
  }
  return info;
}

std::string text_in(const Info& info, std::string_view name) {
  const auto found = info.find(name);
  return found == info.end() ? std::string() : found->second;
}

// Sum over "db0:keys=12,expires=0,avg_ttl=0".
std::uint64_t keys_in(const Info& info) {
  std::uint64_t keys = 0;
  for (const auto& [name, value] : info) {
    constexpr std::string_view kKeys = "keys=";
    if (name.starts_with("db") && std::string_view(value).starts_with(kKeys)) {
      keys += number_in(std::string_view(value).substr(kKeys.size()));
    }
  }
  return keys;
}

void take_info(const Info& info, RedisProbe& probe) {
  const std::string valkey = text_in(info, "valkey_version");
  probe.server = valkey.empty() ? "redis" : "valkey";
  probe.version = valkey.empty() ? text_in(info, "redis_version") : valkey;
  probe.role = text_in(info, "role");
  probe.sight.run_id = text_in(info, "run_id");
  if (info.contains("evicted_keys")) {
    probe.sight.evicted_keys = number_in(text_in(info, "evicted_keys"));
  }
  probe.eviction_policy = text_in(info, "maxmemory_policy");
  probe.loading = text_in(info, "loading") == "1";
  probe.cluster = text_in(info, "cluster_enabled") == "1";
  probe.used_memory = number_in(text_in(info, "used_memory"));
  probe.maxmemory = number_in(text_in(info, "maxmemory"));
  probe.keys = keys_in(info);
  // A log that is on is certain; whether there are save points is for CONFIG to tell.
  probe.persists = text_in(info, "aof_enabled") == "1";
  probe.persistence_known = probe.persists;
}

// Reads one parameter by CONFIG GET; nullopt when the server does not tell.
Result<std::optional<std::string>> parameter(RedisConnection& connection, std::string_view name) {
  auto reply = connection.call({"CONFIG", "GET", name});
  if (!reply) return reply.error();
  if (reply->is_error() || reply->elements.size() < 2) return std::optional<std::string>();
  return std::optional(reply->elements[1].text);
}

Status take_parameters(RedisConnection& connection, RedisProbe& probe) {
  auto save = parameter(connection, "save");
  if (!save) return save.error();
  if (!save->has_value()) return success();  // CONFIG is refused: the others would be, too
  auto log = parameter(connection, "appendonly");
  if (!log) return log.error();
  auto databases = parameter(connection, "databases");
  if (!databases) return databases.error();
  probe.persists = !(**save).empty() || log->value_or("") == "yes";
  probe.persistence_known = true;
  if (const auto count = number_in(databases->value_or("")); count > 0) {
    probe.databases = static_cast<std::uint32_t>(count);
  }
  return success();
}

Status take_latency(RedisConnection& connection, const EndpointAddress& address,
                    RedisProbe& probe) {
  const auto start = std::chrono::steady_clock::now();
  auto pong = connection.call({"PING"});
  if (!pong) return pong.error();
  const auto took = std::chrono::steady_clock::now() - start;
  probe.latency_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  // A server that wants a login, or a busy, loading or failing one, says so here; only the first is
  // fatal.
  if (pong->is_error() && pong->text.starts_with("NOAUTH")) {
    return Error{Errc::BadConfig, "ask endpoint '" + address.id + "'", pong->text};
  }
  // A user that may not PING says nothing about the server.
  if (pong->is_error() && !is_forbidden(*pong)) probe.ping_refusal = words_of_refusal(pong->text);
  return success();
}

// These it would say to any client: others are about this user, this key or this command.
bool refuses_all_writes(std::string_view refusal) {
  constexpr std::array<std::string_view, 8> kSaid{
      "READONLY", "MISCONF", "NOREPLICAS", "OOM", "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN"};
  return std::ranges::any_of(kSaid, [&](std::string_view word) {
    return refusal.starts_with(word) && refusal.substr(word.size()).starts_with(' ');
  });
}

WritesTold refused_by(const RedisReply& reply) {
  return {.answer = refuses_all_writes(reply.text) ? WritesTold::Answer::Refused
                                                   : WritesTold::Answer::NotTold,
          .why = words_of_refusal(reply.text)};
}

WritesTold not_told(std::string why) { return {.why = std::move(why)}; }

WritesTold silent(const Error& error) {
  return {.answer = WritesTold::Answer::Silent, .why = error.message()};
}

// Who ends the connection at MULTI, as some proxies do, does not tell; who says nothing hangs.
WritesTold unanswered_by(const RedisConnection& connection, const Error& error) {
  return connection.late() ? silent(error) : not_told(error.message());
}

}  // namespace

Result<RedisProbe> probe_redis(const EndpointAddress& address, std::uint32_t timeout_ms) {
  auto connection = RedisConnection::open(address, timeout_ms);
  if (!connection) return connection.error();
  RedisProbe probe;
  if (Status status = take_latency(*connection, address, probe); !status) return status.error();
  auto info = connection->call({"INFO"});
  if (!info) return info.error();
  if (info->is_error()) {
    probe.info_refused = true;
  } else {
    take_info(parse_info(info->text), probe);
  }
  if (Status status = take_parameters(*connection, probe); !status) return status.error();
  auto commands = connection->call({"COMMAND"});
  if (!commands) return commands.error();
  if (const auto entries = read_command_reply(*commands); !entries.empty()) {
    probe.commands = redis::learn_commands(entries);
  }
  return probe;
}

WritesTold ask_for_writes(const EndpointAddress& address, std::uint32_t timeout_ms) {
  auto connection = RedisConnection::open(address, timeout_ms);
  if (!connection) {
    const bool unreached = connection.error().code == Errc::Unavailable;
    return unreached ? silent(connection.error()) : not_told(connection.error().message());
  }
  auto begun = connection->call({"MULTI"});
  if (!begun) return unanswered_by(*connection, begun.error());
  if (begun->is_error()) return refused_by(*begun);
  if (begun->text != "OK") return not_told("MULTI is not answered with OK");
  // XX: should somebody run it all the same, it would have to find that key first.
  auto queued = connection->call({"SET", "crossfade:does-it-take-writes", "", "XX"});
  if (!queued) return unanswered_by(*connection, queued.error());
  (void)connection->call({"DISCARD"});  // the end of the connection is the same
  if (queued->is_error()) return refused_by(*queued);
  return {.answer = WritesTold::Answer::Taken};
}

}  // namespace crossfade
