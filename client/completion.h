// Completion of the command line by shells.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade {

// What can stand in a command line, as a tree.
struct CommandWords {
  std::string name;
  std::string help;  // one line
  std::vector<std::string> flags = {};
  std::vector<CommandWords> commands = {};
  std::string ids = {};  // names of this resource may stand here: "migrations"; empty: none
};

// A script for "bash", "zsh" or "fish"; nothing for another shell. Names of resources are asked of
// the sidecar that the environment names, by `crossfade RESOURCE list --ids`.
std::optional<std::string> completion_script(const CommandWords& program, std::string_view shell);

}  // namespace crossfade
