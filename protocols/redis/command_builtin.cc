// The commands of Redis 7.0, as its COMMAND and COMMAND DOCS tell them, plus what they do not tell.
//
// One line a command: name, kind, marks, keys, effect.
//   marks  b blocks   c cursor   s belongs to one side's own state
//          ~ two equal servers may answer differently   = but then they mean the same
//          ! frees a busy server
//   keys   1        argument 1                      2#          a count at 2, then that many keys
//          1:1      two, from argument 1            STORE@6     the argument behind the word STORE,
//          1:-1     from 1 to the last                          looked for from argument 6
//          1:-1/2   every second of those           X@1:-1%2    behind X, the first half of the
//          rest sort-store, migrate-key, migrate-keys    as KeySpec::Find says
// Scripts count as writes unless they promise otherwise; WATCH, MULTI and EXEC go where writes go;
// what is neither read nor write belongs to one side. Published messages have no keys, and what
// ends a script goes where they go: either side may be running it.
#include <algorithm>
#include <charconv>
#include <string_view>

#include "protocols/redis/command.h"
#include "protocols/redis/command_repeat.h"

namespace crossfade::redis {
namespace {

struct Line {
  std::string_view name;
  Kind kind;
  std::string_view marks;
  std::string_view keys;
  Effect effect = Effect::None;
};

using enum Kind;

// clang-format off
constexpr Line kLines[] = {
    // generic
    {"copy", Write, "", "1 2"},
    {"del", Write, "", "1:-1"},
    {"dump", Read, "~", "1"},
    {"exists", Read, "", "1:-1"},
    {"expire", Write, "", "1"},
    {"expireat", Write, "", "1"},
    {"expiretime", Read, "", "1"},
    {"keys", Read, "~=", ""},
    {"migrate", Write, "~", "migrate"},
    {"move", Write, "", "1"},
    {"object", Other, "", ""},
    {"object|encoding", Read, "~", "2"},
    {"object|freq", Read, "~", "2"},
    {"object|help", Other, "", ""},
    {"object|idletime", Read, "~=", "2"},
    {"object|refcount", Read, "~", "2"},
    {"persist", Write, "", "1"},
    {"pexpire", Write, "", "1"},
    {"pexpireat", Write, "", "1"},
    {"pexpiretime", Read, "", "1"},
    {"pttl", Read, "~=", "1"},
    {"randomkey", Read, "~", ""},
    {"rename", Write, "", "1 2"},
    {"renamenx", Write, "", "1 2"},
    {"restore", Write, "", "1"},
    {"scan", Read, "cs~", ""},
    {"sort", Write, "", "1 sort-store"},
    {"sort_ro", Read, "", "1"},
    {"touch", Read, "", "1:-1"},
    {"ttl", Read, "~=", "1"},
    {"type", Read, "", "1"},
    {"unlink", Write, "", "1:-1"},
    {"wait", Other, "b", ""},
    // string
    {"append", Write, "", "1"},
    {"decr", Write, "", "1"},
    {"decrby", Write, "", "1"},
    {"get", Read, "", "1"},
    {"getdel", Write, "", "1"},
    {"getex", Write, "", "1"},
    {"getrange", Read, "", "1"},
    {"getset", Write, "", "1"},
    {"incr", Write, "", "1"},
    {"incrby", Write, "", "1"},
    {"incrbyfloat", Write, "", "1"},
    {"lcs", Read, "", "1:1"},
    {"mget", Read, "", "1:-1"},
    {"mset", Write, "", "1:-1/2"},
    {"msetnx", Write, "", "1:-1/2"},
    {"psetex", Write, "", "1"},
    {"set", Write, "", "1"},
    {"setex", Write, "", "1"},
    {"setnx", Write, "", "1"},
    {"setrange", Write, "", "1"},
    {"strlen", Read, "", "1"},
    {"substr", Read, "", "1"},
    // bitmap
    {"bitcount", Read, "", "1"},
    {"bitfield", Write, "", "1"},
    {"bitfield_ro", Read, "", "1"},
    {"bitop", Write, "", "2 3:-1"},
    {"bitpos", Read, "", "1"},
    {"getbit", Read, "", "1"},
    {"setbit", Write, "", "1"},
    // list
    {"blmove", Write, "b", "1 2"},
    {"blmpop", Write, "b", "2#"},
    {"blpop", Write, "b", "1:-2"},
    {"brpop", Write, "b", "1:-2"},
    {"brpoplpush", Write, "b", "1 2"},
    {"lindex", Read, "", "1"},
    {"linsert", Write, "", "1"},
    {"llen", Read, "", "1"},
    {"lmove", Write, "", "1 2"},
    {"lmpop", Write, "", "1#"},
    {"lpop", Write, "", "1"},
    {"lpos", Read, "", "1"},
    {"lpush", Write, "", "1"},
    {"lpushx", Write, "", "1"},
    {"lrange", Read, "", "1"},
    {"lrem", Write, "", "1"},
    {"lset", Write, "", "1"},
    {"ltrim", Write, "", "1"},
    {"rpop", Write, "", "1"},
    {"rpoplpush", Write, "", "1 2"},
    {"rpush", Write, "", "1"},
    {"rpushx", Write, "", "1"},
    // set
    {"sadd", Write, "", "1"},
    {"scard", Read, "", "1"},
    {"sdiff", Read, "~=", "1:-1"},
    {"sdiffstore", Write, "", "1 2:-1"},
    {"sinter", Read, "~=", "1:-1"},
    {"sintercard", Read, "", "1#"},
    {"sinterstore", Write, "", "1 2:-1"},
    {"sismember", Read, "", "1"},
    {"smembers", Read, "~=", "1"},
    {"smismember", Read, "", "1"},
    {"smove", Write, "", "1 2"},
    {"spop", Write, "~", "1"},
    {"srandmember", Read, "~", "1"},
    {"srem", Write, "", "1"},
    {"sscan", Read, "cs~", "1"},
    {"sunion", Read, "~=", "1:-1"},
    {"sunionstore", Write, "", "1 2:-1"},
    // sorted-set
    {"bzmpop", Write, "b", "2#"},
    {"bzpopmax", Write, "b", "1:-2"},
    {"bzpopmin", Write, "b", "1:-2"},
    {"zadd", Write, "", "1"},
    {"zcard", Read, "", "1"},
    {"zcount", Read, "", "1"},
    {"zdiff", Read, "", "1#"},
    {"zdiffstore", Write, "", "1 2#"},
    {"zincrby", Write, "", "1"},
    {"zinter", Read, "", "1#"},
    {"zintercard", Read, "", "1#"},
    {"zinterstore", Write, "", "1 2#"},
    {"zlexcount", Read, "", "1"},
    {"zmpop", Write, "", "1#"},
    {"zmscore", Read, "", "1"},
    {"zpopmax", Write, "", "1"},
    {"zpopmin", Write, "", "1"},
    {"zrandmember", Read, "~", "1"},
    {"zrange", Read, "", "1"},
    {"zrangebylex", Read, "", "1"},
    {"zrangebyscore", Read, "", "1"},
    {"zrangestore", Write, "", "1 2"},
    {"zrank", Read, "", "1"},
    {"zrem", Write, "", "1"},
    {"zremrangebylex", Write, "", "1"},
    {"zremrangebyrank", Write, "", "1"},
    {"zremrangebyscore", Write, "", "1"},
    {"zrevrange", Read, "", "1"},
    {"zrevrangebylex", Read, "", "1"},
    {"zrevrangebyscore", Read, "", "1"},
    {"zrevrank", Read, "", "1"},
    {"zscan", Read, "cs~", "1"},
    {"zscore", Read, "", "1"},
    {"zunion", Read, "", "1#"},
    {"zunionstore", Write, "", "1 2#"},
    // hash
    {"hdel", Write, "", "1"},
    {"hexists", Read, "", "1"},
    {"hget", Read, "", "1"},
    {"hgetall", Read, "~=", "1"},
    {"hincrby", Write, "", "1"},
    {"hincrbyfloat", Write, "", "1"},
    {"hkeys", Read, "~=", "1"},
    {"hlen", Read, "", "1"},
    {"hmget", Read, "", "1"},
    {"hmset", Write, "", "1"},
    {"hrandfield", Read, "~", "1"},
    {"hscan", Read, "cs~", "1"},
    {"hset", Write, "", "1"},
    {"hsetnx", Write, "", "1"},
    {"hstrlen", Read, "", "1"},
    {"hvals", Read, "~=", "1"},
    // hyperloglog
    {"pfadd", Write, "", "1"},
    {"pfcount", Write, "", "1:-1"},
    {"pfdebug", Write, "", "2"},
    {"pfmerge", Write, "", "1 2:-1"},
    {"pfselftest", Other, "", ""},
    // geo
    {"geoadd", Write, "", "1"},
    {"geodist", Read, "", "1"},
    {"geohash", Read, "", "1"},
    {"geopos", Read, "", "1"},
    {"georadius", Write, "", "1 STORE@6 STOREDIST@6"},
    {"georadius_ro", Read, "", "1"},
    {"georadiusbymember", Write, "", "1 STORE@5 STOREDIST@5"},
    {"georadiusbymember_ro", Read, "", "1"},
    {"geosearch", Read, "", "1"},
    {"geosearchstore", Write, "", "1 2"},
    // stream
    {"xack", Write, "", "1"},
    {"xadd", Write, "~", "1"},
    {"xautoclaim", Write, "~", "1"},
    {"xclaim", Write, "~", "1"},
    {"xdel", Write, "", "1"},
    {"xgroup", Other, "", ""},
    {"xgroup|create", Write, "", "2"},
    {"xgroup|createconsumer", Write, "", "2"},
    {"xgroup|delconsumer", Write, "", "2"},
    {"xgroup|destroy", Write, "", "2"},
    {"xgroup|help", Other, "", ""},
    {"xgroup|setid", Write, "", "2"},
    {"xinfo", Other, "", ""},
    {"xinfo|consumers", Read, "~", "2"},
    {"xinfo|groups", Read, "", "2"},
    {"xinfo|help", Other, "", ""},
    {"xinfo|stream", Read, "~", "2"},
    {"xlen", Read, "", "1"},
    {"xpending", Read, "~=", "1"},
    {"xrange", Read, "", "1"},
    {"xread", Read, "b", "STREAMS@1:-1%2"},
    {"xreadgroup", Write, "b", "STREAMS@4:-1%2"},
    {"xrevrange", Read, "", "1"},
    {"xsetid", Write, "", "1"},
    {"xtrim", Write, "~", "1"},
    // pubsub
    {"psubscribe", Other, "", "", Effect::Psubscribe},
    {"publish", Publish, "~", ""},
    {"pubsub", Other, "", ""},
    {"pubsub|channels", Other, "", ""},
    {"pubsub|help", Other, "", ""},
    {"pubsub|numpat", Other, "", ""},
    {"pubsub|numsub", Other, "", ""},
    {"pubsub|shardchannels", Other, "", ""},
    {"pubsub|shardnumsub", Other, "", ""},
    {"punsubscribe", Other, "", "", Effect::Punsubscribe},
    {"spublish", Publish, "~", ""},
    {"ssubscribe", Other, "", "", Effect::Ssubscribe},
    {"subscribe", Other, "", "", Effect::Subscribe},
    {"sunsubscribe", Other, "", "", Effect::Sunsubscribe},
    {"unsubscribe", Other, "", "", Effect::Unsubscribe},
    // scripting
    {"eval", Write, "", "2#"},
    {"eval_ro", Read, "", "2#"},
    {"evalsha", Write, "", "2#"},
    {"evalsha_ro", Read, "s", "2#"},
    {"fcall", Write, "", "2#"},
    {"fcall_ro", Read, "s", "2#"},
    {"function", Other, "", ""},
    {"function|delete", Write, "", ""},
    {"function|dump", Other, "s", ""},
    {"function|flush", Write, "", ""},
    {"function|help", Other, "", ""},
    {"function|kill", Publish, "~!", ""},
    {"function|list", Other, "s~", ""},
    {"function|load", Write, "", ""},
    {"function|restore", Write, "", ""},
    {"function|stats", Other, "s~", ""},
    {"script", Other, "", ""},
    {"script|debug", Other, "", ""},
    {"script|exists", Other, "s", ""},
    {"script|flush", Write, "", ""},
    {"script|help", Other, "", ""},
    {"script|kill", Publish, "~!", ""},
    {"script|load", Write, "", ""},
    // transactions
    {"discard", Write, "", "", Effect::Discard},
    {"exec", Write, "", "", Effect::Exec},
    {"multi", Write, "", "", Effect::Multi},
    {"unwatch", Write, "", "", Effect::Unwatch},
    {"watch", Write, "", "1:-1", Effect::Watch},
    // connection
    {"auth", Other, "", "", Effect::Auth},
    {"client", Other, "", ""},
    {"client|caching", Other, "", ""},
    {"client|getname", Other, "", ""},
    {"client|getredir", Other, "", ""},
    {"client|help", Other, "", ""},
    {"client|id", Other, "", ""},
    {"client|info", Other, "~", ""},
    {"client|kill", Other, "", "", Effect::Closes},
    {"client|list", Other, "~", ""},
    {"client|no-evict", Other, "", ""},
    {"client|pause", Other, "", ""},
    {"client|reply", Other, "", "", Effect::ClientReply},
    {"client|setname", Other, "", "", Effect::ClientSetName},
    {"client|tracking", Other, "", "", Effect::ClientTracking},
    {"client|trackinginfo", Other, "", ""},
    {"client|unblock", Other, "", ""},
    {"client|unpause", Other, "", ""},
    {"echo", Other, "", ""},
    {"hello", Other, "", "", Effect::Hello},
    {"ping", Other, "", ""},
    {"quit", Other, "", "", Effect::Quit},
    {"reset", Other, "", "", Effect::Reset},
    {"select", Other, "", "", Effect::Select},
    // server
    {"acl", Other, "", ""},
    {"acl|cat", Other, "", ""},
    {"acl|deluser", Other, "", ""},
    {"acl|dryrun", Other, "", ""},
    {"acl|genpass", Other, "", ""},
    {"acl|getuser", Other, "", ""},
    {"acl|help", Other, "", ""},
    {"acl|list", Other, "", ""},
    {"acl|load", Other, "", ""},
    {"acl|log", Other, "", ""},
    {"acl|save", Other, "", ""},
    {"acl|setuser", Other, "", ""},
    {"acl|users", Other, "", ""},
    {"acl|whoami", Other, "", ""},
    {"bgrewriteaof", Other, "", ""},
    {"bgsave", Other, "", ""},
    {"command", Other, "~", ""},
    {"command|count", Other, "", ""},
    {"command|docs", Other, "~", ""},
    {"command|getkeys", Other, "", ""},
    {"command|getkeysandflags", Other, "", ""},
    {"command|help", Other, "", ""},
    {"command|info", Other, "~", ""},
    {"command|list", Other, "~", ""},
    {"config", Other, "", ""},
    {"config|get", Other, "", ""},
    {"config|help", Other, "", ""},
    {"config|resetstat", Other, "", ""},
    {"config|rewrite", Other, "", ""},
    {"config|set", Other, "", ""},
    {"dbsize", Read, "", ""},
    {"debug", Other, "", ""},
    {"debug|loadaof", Other, "", "", Effect::Reloads},
    {"debug|populate", Write, "", ""},
    {"debug|reload", Other, "", "", Effect::Reloads},
    {"failover", Other, "", "", Effect::Reloads},
    {"flushall", Write, "", ""},
    {"flushdb", Write, "", ""},
    {"info", Other, "s~", ""},
    {"lastsave", Other, "s~", ""},
    {"latency", Other, "", ""},
    {"latency|doctor", Other, "~", ""},
    {"latency|graph", Other, "~", ""},
    {"latency|help", Other, "", ""},
    {"latency|histogram", Other, "~", ""},
    {"latency|history", Other, "~", ""},
    {"latency|latest", Other, "~", ""},
    {"latency|reset", Other, "", ""},
    {"lolwut", Read, "~", ""},
    {"memory", Other, "", ""},
    {"memory|doctor", Other, "~", ""},
    {"memory|help", Other, "", ""},
    {"memory|malloc-stats", Other, "~", ""},
    {"memory|purge", Other, "", ""},
    {"memory|stats", Other, "~", ""},
    {"memory|usage", Read, "~", "2"},
    {"module", Other, "", ""},
    {"module|help", Other, "", ""},
    {"module|list", Other, "~", ""},
    {"module|load", Other, "", ""},
    {"module|loadex", Other, "", ""},
    {"module|unload", Other, "", ""},
    {"monitor", Other, "", "", Effect::Monitor},
    {"psync", Other, "", "", Effect::Sync},
    {"replconf", Other, "", "", Effect::ReplConf},
    {"replicaof", Other, "", "", Effect::Reloads},
    {"restore-asking", Write, "", "1"},
    {"role", Other, "", ""},
    {"save", Other, "", ""},
    {"shutdown", Other, "", "", Effect::Closes},
    {"slaveof", Other, "", "", Effect::Reloads},
    {"slowlog", Other, "", ""},
    {"slowlog|get", Other, "~", ""},
    {"slowlog|help", Other, "", ""},
    {"slowlog|len", Other, "~", ""},
    {"slowlog|reset", Other, "", ""},
    {"swapdb", Write, "", ""},
    {"sync", Other, "", "", Effect::Sync},
    {"time", Other, "~", ""},
    // cluster
    {"asking", Other, "", ""},
    {"cluster", Other, "", ""},
    {"cluster|addslots", Other, "", ""},
    {"cluster|addslotsrange", Other, "", ""},
    {"cluster|bumpepoch", Other, "~", ""},
    {"cluster|count-failure-reports", Other, "~", ""},
    {"cluster|countkeysinslot", Other, "", ""},
    {"cluster|delslots", Other, "", ""},
    {"cluster|delslotsrange", Other, "", ""},
    {"cluster|failover", Other, "", ""},
    {"cluster|flushslots", Other, "", ""},
    {"cluster|forget", Other, "", ""},
    {"cluster|getkeysinslot", Other, "~", ""},
    {"cluster|help", Other, "", ""},
    {"cluster|info", Other, "~", ""},
    {"cluster|keyslot", Other, "", ""},
    {"cluster|links", Other, "~", ""},
    {"cluster|meet", Other, "", ""},
    {"cluster|myid", Other, "", ""},
    {"cluster|nodes", Other, "~", ""},
    {"cluster|replicas", Other, "~", ""},
    {"cluster|replicate", Other, "", ""},
    {"cluster|reset", Other, "", ""},
    {"cluster|saveconfig", Other, "", ""},
    {"cluster|set-config-epoch", Other, "", ""},
    {"cluster|setslot", Other, "", ""},
    {"cluster|shards", Other, "~", ""},
    {"cluster|slaves", Other, "~", ""},
    {"cluster|slots", Other, "~", ""},
    {"readonly", Other, "", ""},
    {"readwrite", Other, "", ""},
    // answered by closing the connection: the server takes them for a browser's request
    {"host:", Other, "", "", Effect::Closes},
    {"post", Other, "", "", Effect::Closes},
};
// clang-format on

// Takes a number off the front of `text`.
int take_number(std::string_view& text) {
  int value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
  return value;
}

bool take_char(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

KeySpec read_key_spec(std::string_view text) {
  KeySpec spec;
  if (text == "sort-store" || text == "migrate") {
    spec.find = text == "migrate" ? KeySpec::Find::Migrate : KeySpec::Find::SortStore;
    return spec;
  }
  if (const std::size_t at = text.find('@'); at != text.npos) {
    spec.begin = KeySpec::Begin::Keyword;
    spec.keyword = text.substr(0, at);
    text.remove_prefix(at + 1);
  }
  spec.index = take_number(text);
  if (take_char(text, '#')) {
    spec.find = KeySpec::Find::KeyNum;
    spec.first_key = 1;
  }
  if (take_char(text, ':')) spec.last = take_number(text);
  if (take_char(text, '/')) spec.step = take_number(text);
  if (take_char(text, '%')) spec.limit = take_number(text);
  return spec;
}

std::vector<KeySpec> read_key_specs(std::string_view text) {
  std::vector<KeySpec> specs;
  while (!text.empty()) {
    const std::size_t size = std::min(text.find(' '), text.size());
    specs.push_back(read_key_spec(text.substr(0, size)));
    text.remove_prefix(std::min(size + 1, text.size()));
  }
  return specs;
}

CommandSpec read_line(const Line& line) {
  const auto marked = [&](char mark) { return line.marks.find(mark) != line.marks.npos; };
  return CommandSpec{.name = std::string(line.name),
                     .kind = line.kind,
                     .effect = line.effect,
                     .repeat = repeat_of(line.name),
                     .blocks = marked('b'),
                     .cursor = marked('c'),
                     .sided = marked('s'),
                     .nondeterministic = marked('~'),
                     .by_meaning = marked('='),
                     .urgent = marked('!'),
                     .keys = read_key_specs(line.keys)};
}

std::shared_ptr<const CommandTable> build() {
  std::vector<CommandSpec> specs;
  for (const Line& line : kLines) specs.push_back(read_line(line));
  return std::make_shared<const CommandTable>(std::move(specs));
}

}  // namespace

std::shared_ptr<const CommandTable> CommandTable::built_in() {
  static const std::shared_ptr<const CommandTable> table = build();
  return table;
}

}  // namespace crossfade::redis
