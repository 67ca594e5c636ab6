// A template of Redis requests: "SET user:{{id}} {{value}}".
//
// Words as in redis-cli, quotes and escapes included. The command, and the subcommand of commands
// that have some, are taken in any case, all other arguments byte by byte. A field stands for at
// least one byte within its argument; of several in one argument each is as short as what follows
// allows. A field that stands in several arguments has the same value in all.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/kind.h"
#include "protocols/base/result.h"
#include "protocols/base/template_text.h"

namespace crossfade::redis {

struct Template {
  // One argument: literals and fields in turn. Command words are one literal, in lower case.
  using Argument = std::vector<TextPiece>;
  std::vector<Argument> arguments;  // at least one
  std::size_t words = 1;            // of the command: 2 with a subcommand
  std::vector<std::string> fields;  // names in the order in which they first stand
  bool repeats = false;             // some field stands in several arguments
};

// Whether it is told which part of a text each of its fields is.
//   errors  BadInput: two fields side by side, or one that stands there twice
Status check_argument(const Template::Argument& argument);

//   errors  BadInput: what is wrong with it, without its text
Result<Template> read_template(std::string_view query);

// What a template's requests do, by the built-in commands: a Write unless certainly a read.
Kind kind_of(const Template& form);

// The same where nobody can know better. nullopt: of a command that is not built in, of scripts,
// and of commands that write by some of their words only.
std::optional<Kind> certain_kind(const Template& form);

// True when a request of that form, or one in its place, does something to keys and nothing else:
// its command is built in, names keys, and does not change its connection, block, or begin a scan.
bool does_data_only(const Template& form);

// Which of its arguments are keys, by the built-in commands. nullopt: that is not known, as nobody
// knows the command, or a field stands where it would be told.
std::optional<std::vector<std::size_t>> key_arguments(const Template& form);

}  // namespace crossfade::redis
