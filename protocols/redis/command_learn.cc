// Builds a command table from what a server says about itself.
//
// The server is believed in what it says (reads, writes, key positions, chance). What its version
// has no words for comes from the built-in table, by name.
#include <algorithm>
#include <array>
#include <string_view>

#include "protocols/redis/command.h"

namespace crossfade::redis {
namespace {

using Entry = CommandReplyEntry;

bool any_of(const std::vector<std::string>& words, std::initializer_list<std::string_view> wanted) {
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
    return std::find(wanted.begin(), wanted.end(), word) != wanted.end();
  });
}

// Redis 6 and older: first, last and step of element 4 to 6.
std::vector<KeySpec> keys_of_range(const Entry& entry) {
  if (entry.first_key <= 0) return {};
  KeySpec spec;
  spec.index = entry.first_key;
  spec.last = entry.last_key < 0 ? entry.last_key : entry.last_key - entry.first_key;
  spec.step = std::max(entry.key_step, 1);
  return {spec};
}

bool says_more(const KeySpec& spec) {
  return spec.find != KeySpec::Find::Range && spec.find != KeySpec::Find::KeyNum;
}

std::vector<KeySpec> keys_of(const Entry& entry, const CommandSpec* known) {
  if (known == nullptr) return entry.keys.empty() ? keys_of_range(entry) : entry.keys;
  const bool better = std::any_of(known->keys.begin(), known->keys.end(), says_more);
  if (better || known->keys.empty() || entry.keys.empty()) return known->keys;
  return entry.keys;
}

Kind kind_of(const Entry& entry, const CommandSpec* known, bool keyed) {
  if (any_of(entry.flags, {"write"})) return Kind::Write;
  // PFCOUNT is called one, and stores the count in the key, for clients and replicas to see.
  const bool known_to_write = known != nullptr && known->kind == Kind::Write;
  if (any_of(entry.flags, {"readonly"})) return known_to_write ? Kind::Write : Kind::Read;
  if (known != nullptr) return known->kind;
  return keyed ? Kind::Write : Kind::Other;
}

CommandSpec learn_one(const Entry& entry, const CommandSpec* known) {
  CommandSpec spec = known != nullptr ? *known : CommandSpec{};
  spec.name = entry.name;
  std::transform(spec.name.begin(), spec.name.end(), spec.name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  spec.keys = keys_of(entry, known);
  spec.kind = kind_of(entry, known, !spec.keys.empty());
  spec.blocks |= any_of(entry.flags, {"blocking"});
  spec.nondeterministic |=
      any_of(entry.tips, {"nondeterministic_output", "nondeterministic_output_order"}) ||
      any_of(entry.flags, {"random", "sort_for_script"});  // their names before Redis 7
  return spec;
}

const CommandSpec* known_subcommand(const CommandTable& known, std::string_view name) {
  const std::size_t bar = name.find('|');
  if (bar == name.npos) return nullptr;
  return known.find(name.substr(0, bar), name.substr(bar + 1));
}

}  // namespace

std::shared_ptr<const CommandTable> learn_commands(const std::vector<CommandReplyEntry>& reply) {
  const CommandTable& known = *CommandTable::built_in();
  std::vector<CommandSpec> specs;
  for (const Entry& entry : reply) {
    const CommandSpec* const container = known.find(entry.name);
    specs.push_back(learn_one(entry, container));
    for (const Entry& subcommand : entry.subcommands) {
      specs.push_back(learn_one(subcommand, known_subcommand(known, subcommand.name)));
    }
    // Before Redis 7 a container did not tell its subcommands, and only its first key position.
    if (entry.subcommands.empty() && container != nullptr && container->has_subcommands) {
      specs.back() = *container;
      const std::string prefix = container->name + "|";
      for (const CommandSpec& spec : known.specs()) {
        if (spec.name.starts_with(prefix)) specs.push_back(spec);
      }
    }
  }
  for (const std::string_view guard : {"post", "host:"}) specs.push_back(*known.find(guard));
  return std::make_shared<const CommandTable>(std::move(specs));
}

}  // namespace crossfade::redis
