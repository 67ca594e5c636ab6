// One table of words for each shell: what may follow each sequence of commands.
#include "client/completion.h"

namespace crossfade {

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ' ';
    text += word;
  }
  return text;
}

std::vector<std::string> names_of(const std::vector<CommandWords>& commands) {
  std::vector<std::string> names;
  for (const CommandWords& command : commands) names.push_back(command.name);
  return names;
}

// In single quotes for any of the three shells.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

// `visit(path, command)` for the program and all below it; path is "crossfade migrations watch".
template <class Visit>
void walk(const CommandWords& command, const std::string& path, const Visit& visit) {
  visit(path, command);
  for (const CommandWords& below : command.commands) walk(below, path + " " + below.name, visit);
}

// bash, and zsh by its own emulation of bash's completion. Words that are no command of ours
// (flags' values, names) do not lead further down.
std::string bash_script(const CommandWords& program) {
  std::string follow;
  std::string flags;
  std::string ids;
  walk(program, program.name, [&](const std::string& path, const CommandWords& command) {
    const std::string label = "    " + quoted(path) + ") ";
    if (!command.commands.empty()) {
      follow += label + "echo " + quoted(joined(names_of(command.commands))) + " ;;\n";
    }
    if (!command.flags.empty()) {
      flags += label + "echo " + quoted(joined(command.flags)) + " ;;\n";
    }
    if (!command.ids.empty()) {
      ids += label + program.name + " " + command.ids + " list --ids 2>/dev/null ;;\n";
    }
  });
  return "_crossfade_commands() {\n  case \"$1\" in\n" + follow + "  esac\n}\n" +
         "_crossfade_flags() {\n  case \"$1\" in\n" + flags + "  esac\n}\n" +
         "_crossfade_ids() {\n  case \"$1\" in\n" + ids + "  esac\n}\n" + R"sh(_crossfade() {
  local current="${COMP_WORDS[COMP_CWORD]}" path=')sh" +
         program.name + R"sh(' word
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " $(_crossfade_commands "$path") " in
      *" $word "*) path="$path $word" ;;
    esac
  done
  local words
  case "$current" in
    -*) words="$(_crossfade_flags "$path")" ;;
    *) words="$(_crossfade_commands "$path") $(_crossfade_ids "$path")" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _crossfade )sh" +
         program.name + "\n";
}

std::string fish_script(const CommandWords& program) {
  std::string script = "complete -c " + program.name + " -f\n";
  for (const CommandWords& command : program.commands) {
    const std::string of = "complete -c " + program.name + " -n ";
    script +=
        of + "__fish_use_subcommand -a " + command.name + " -d " + quoted(command.help) + "\n";
    const std::string seen = "'__fish_seen_subcommand_from " + command.name + "'";
    for (const std::string& flag : command.flags) {
      if (flag.compare(0, 2, "--") == 0) script += of + seen + " -l " + flag.substr(2) + "\n";
    }
    for (const CommandWords& verb : command.commands) {
      script += of + seen + " -a " + verb.name + " -d " + quoted(verb.help) + "\n";
      const std::string both = "'__fish_seen_subcommand_from " + command.name +
                               "; and __fish_seen_subcommand_from " + verb.name + "'";
      for (const std::string& flag : verb.flags) {
        if (flag.compare(0, 2, "--") == 0) script += of + both + " -l " + flag.substr(2) + "\n";
      }
      if (verb.ids.empty()) continue;
      script +=
          of + both + " -a '(" + program.name + " " + verb.ids + " list --ids 2>/dev/null)'\n";
    }
  }
  return script;
}

}  // namespace

std::optional<std::string> completion_script(const CommandWords& program, std::string_view shell) {
  if (shell == "bash") return bash_script(program);
  if (shell == "zsh") {
    return "autoload -Uz compinit bashcompinit\ncompinit\nbashcompinit\n" + bash_script(program);
  }
  if (shell == "fish") return fish_script(program);
  return std::nullopt;
}

}  // namespace crossfade
