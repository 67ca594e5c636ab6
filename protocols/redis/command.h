// Command knowledge: what each command does and where its keys are.
//
// Learned from the server's own COMMAND reply (module commands included), with a built-in table of
// Redis 7's commands as the fall-back. Immutable once built; shared by all loops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/kind.h"

namespace crossfade::redis {

// What a command does to its session, beyond its data.
enum class Effect : std::uint8_t {
  None,
  Multi,
  Exec,
  Discard,
  Watch,
  Unwatch,
  Subscribe,
  Psubscribe,
  Ssubscribe,
  Unsubscribe,
  Punsubscribe,
  Sunsubscribe,
  Monitor,
  Sync,      // SYNC and PSYNC: the connection becomes a replication stream
  ReplConf,  // REPLCONF: to some of it servers answer nothing
  Hello,
  Auth,
  Select,
  Reset,
  Quit,
  ClientReply,
  ClientTracking,
  ClientSetName,
  Reloads,  // DEBUG RELOAD and LOADAOF, REPLICAOF, FAILOVER: the server takes its data anew
  Closes    // the server may close this connection: SHUTDOWN, CLIENT KILL, "post", "host:"
};

// What it hangs on how a write is repeated on another server (replay.h). Says nothing of commands
// that are no writes.
enum class Repeat : std::uint8_t {
  Unknown,    // nobody has told: a module's command, or a newer server's
  Same,       // its effect follows from the data and its arguments alone
  Expires,    // SETEX, EXPIRE …: what it sets counts from now
  Set,        // likewise with EX, PX
  Getex,      // likewise
  Restore,    // likewise, unless ABSTTL
  Pop,        // SPOP: chance
  Add,        // XADD: the server's id, and trimming about so far
  Trim,       // XTRIM: trimming about so far
  Float,      // INCRBYFLOAT: the server's arithmetic
  HashFloat,  // HINCRBYFLOAT
  Claim,      // XCLAIM: by how long entries are idle
  Autoclaim,  // XAUTOCLAIM: likewise
  Sort,       // SORT: BY and GET read other keys
  Lex,        // ZREMRANGEBYLEX, ZRANGESTORE: of unequal scores, by how the set is encoded
  Moves,      // it reads or writes more than it says: MIGRATE, PFDEBUG
  Script,     // EVAL: its text tells
  Hidden      // EVALSHA, FCALL: the text is the server's
};

// Where keys are, as Redis 7 key specifications say it ("COMMAND" reply, element 8).
struct KeySpec {
  enum class Begin : std::uint8_t { Index, Keyword } begin = Begin::Index;
  // The last two stand for what key specifications cannot say: SORT's STORE among its other
  // options, and MIGRATE's keys, which KEYS names when the single key is empty. They use none of
  // the fields below.
  enum class Find : std::uint8_t { Range, KeyNum, SortStore, Migrate } find = Find::Range;
  std::string keyword;  // Begin::Keyword, upper case
  int index = 1;        // Index: position; Keyword: where to start looking (negative: from the end)
  int last = 0;         // Range: last key relative to the first; negative counts from the end
  int step = 1;         // both
  int limit = 0;  // Range: with last == -1, use 1/limit of the remaining arguments (0, 1: all)
  int keynum_index = 0;  // KeyNum: position of the count, relative to the begin position
  int first_key = 0;     // KeyNum: position of the first key, relative to the begin position
};

struct CommandSpec {
  std::string name;  // lower case; subcommands as "client|reply"
  Kind kind = Kind::Write;
  Effect effect = Effect::None;
  Repeat repeat = Repeat::Unknown;
  bool blocks = false;  // may block its connection (for XREAD and XREADGROUP only with BLOCK)
  bool cursor = false;  // SCAN family: cursors belong to one side
  bool sided = false;   // other state of one side: script SHAs, replies about the server itself
  bool nondeterministic = false;  // two equal servers may answer differently (order included)
  bool by_meaning = false;        // likewise, but whether they mean the same can be told
  bool urgent = false;  // frees a server that is busy with a script and answers nothing else
  std::vector<KeySpec> keys;
  bool has_subcommands = false;  // set by CommandTable when it has any
};

class CommandTable {
 public:
  // Later specifications replace earlier ones of the same name.
  explicit CommandTable(std::vector<CommandSpec> specs);

  // Finds by name in any case; nullptr when nobody knows it. With subcommands: find the container
  // first.
  //   cost  one hash and one comparison, no allocation
  const CommandSpec* find(std::string_view name) const;
  const CommandSpec* find(std::string_view container, std::string_view subcommand) const;
  std::size_t size() const { return specs_.size(); }
  const std::vector<CommandSpec>& specs() const { return specs_; }

  static std::shared_ptr<const CommandTable> built_in();

 private:
  struct Slot {  // open addressing; by the first and last bytes of the lower-case name
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    std::uint32_t index = 0;
    std::uint16_t size = 0;   // of the name; 0: the slot is empty
    bool subcommand = false;  // the name is "container|subcommand"
  };
  const Slot* find_slot(std::string_view name) const;
  void insert(CommandSpec spec);

  std::vector<CommandSpec> specs_;
  std::vector<Slot> slots_;
};

// One entry of a COMMAND reply, as plain data, however it was read.
struct CommandReplyEntry {
  std::string name;                // "get"; subcommands "client|reply"
  std::vector<std::string> flags;  // "write", "readonly", "blocking", "movablekeys", ...
  int first_key = 0, last_key = 0, key_step = 0;
  std::vector<std::string> tips;  // "nondeterministic_output", ...
  std::vector<KeySpec> keys;      // Redis 7 and later, without those flagged not_key or of type
                                  // unknown; empty before that
  std::vector<CommandReplyEntry> subcommands;
};
// Builds a table from a server's answer. What the server does not tell (effects, subcommands and
// key positions of older servers) is filled in from the built-in table; commands that only the
// built-in table knows are kept out, as the server does not have them.
std::shared_ptr<const CommandTable> learn_commands(const std::vector<CommandReplyEntry>& reply);

}  // namespace crossfade::redis
