// Completion of the command line by shells.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade {

// What may stand as one word behind a command: names of a resource, or one of some words.
struct Place {
  std::string ids = {};  // "migrations"; empty: none
  std::vector<std::string> words = {};
};

// What can stand in a command line, as a tree.
struct CommandWords {
  std::string name;
  std::string help;  // one line
  std::vector<std::string> flags = {};
  std::vector<std::string> valued = {};  // of them, those that take the word behind them
  std::vector<CommandWords> commands = {};
  std::vector<Place> places = {};  // of the words behind it, one after the other
};

// A script for "bash", "zsh" or "fish"; nothing for another shell. Names of resources are asked of
// the sidecar that the environment names, by `crossfade RESOURCE list --ids`.
std::optional<std::string> completion_script(const CommandWords& program, std::string_view shell);

}  // namespace crossfade
