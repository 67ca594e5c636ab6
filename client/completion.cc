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
std::string shell_quoted(std::string_view text) {
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

// A command that lists what may stand there, in any shell.
std::string list_of(const CommandWords& program, const Place& place) {
  return program.name + " " + place.ids + " list --ids 2>/dev/null";
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
  std::string valued;
  std::string places;
  walk(program, program.name, [&](const std::string& path, const CommandWords& command) {
    const std::string label = "    " + shell_quoted(path) + ") ";
    if (!command.commands.empty()) {
      follow += label + "echo " + shell_quoted(joined(names_of(command.commands))) + " ;;\n";
    }
    if (!command.flags.empty()) {
      flags += label + "echo " + shell_quoted(joined(command.flags)) + " ;;\n";
    }
    if (!command.valued.empty()) {
      valued += label + "echo " + shell_quoted(joined(command.valued)) + " ;;\n";
    }
    for (std::size_t i = 0; i < command.places.size(); ++i) {
      const Place& place = command.places[i];
      places += "    " + shell_quoted(path + " " + std::to_string(i)) + ") " +
                (place.ids.empty() ? "echo " + shell_quoted(joined(place.words))
                                   : list_of(program, place)) +
                " ;;\n";
    }
  });
  return "_crossfade_commands() {\n  case \"$1\" in\n" + follow + "  esac\n}\n" +
         "_crossfade_flags() {\n  case \"$1\" in\n" + flags + "  esac\n}\n" +
         "_crossfade_valued() {\n  case \"$1\" in\n" + valued + "  esac\n}\n" +
         "_crossfade_words() {\n  case \"$1 $2\" in\n" + places + "  esac\n}\n" +
         R"sh(_crossfade() {
  local path=')sh" +
         program.name + R"sh(' word value='' given=0
  COMPREPLY=()
  # bash cuts ids at each ':'; what the line has no blank between is one word.
  local rest="$COMP_LINE" piece='' last=-1 blank
  local -a typed
  typed=()
  for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    blank="${rest%%[![:space:]]*}"
    rest="${rest#"$blank"}"
    case "$blank|$piece|$word" in
      '|:'*'|'* | '|'?*'|:'*) typed[last]="${typed[last]}$word" ;;
      *) last=$((last + 1)); typed[last]="$word" ;;
    esac
    piece="$word"
    rest="${rest#"$word"}"
  done
  local current="${typed[last]}"
  for word in "${typed[@]:1:last-1}"; do
    if [ "$word" = = ]; then continue; fi
    if [ -n "$value" ]; then value=''; continue; fi
    case "$word" in
      -*) case " $(_crossfade_valued "$path") " in *" $word "*) value=next ;; esac ;;
      *) case " $(_crossfade_commands "$path") " in
           *" $word "*) path="$path $word" ;;
           *) given=$((given + 1)) ;;
         esac ;;
    esac
  done
  if [ -n "$value" ]; then return; fi
  local words
  case "$current" in
    -*) words="$(_crossfade_flags "$path")" ;;
    *) words="$(_crossfade_commands "$path") $(_crossfade_words "$path" "$given")" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  case "$COMP_WORDBREAKS|$current" in
    *:*'|'*:*)  # it puts only what is behind the last ':' in place
      local i cut="${current%"${current##*:}"}"
      for ((i = 0; i < ${#COMPREPLY[@]}; i++)); do COMPREPLY[i]="${COMPREPLY[i]#"$cut"}"; done ;;
  esac
}
complete -o default -F _crossfade )sh" +
         program.name + "\n";
}

std::string fish_script(const CommandWords& program) {
  std::string script = "complete -c " + program.name + " -f\n";
  for (const CommandWords& command : program.commands) {
    const std::string of = "complete -c " + program.name + " -n ";
    script += of + "__fish_use_subcommand -a " + command.name + " -d " +
              shell_quoted(command.help) + "\n";
    const std::string seen = "'__fish_seen_subcommand_from " + command.name + "'";
    for (const Place& place : command.places) {
      script += of + seen + " -a " + shell_quoted(joined(place.words)) + "\n";
    }
    for (const std::string& flag : command.flags) {
      if (flag.compare(0, 2, "--") == 0) script += of + seen + " -l " + flag.substr(2) + "\n";
    }
    for (const CommandWords& verb : command.commands) {
      script += of + seen + " -a " + verb.name + " -d " + shell_quoted(verb.help) + "\n";
      const std::string both = "'__fish_seen_subcommand_from " + command.name +
                               "; and __fish_seen_subcommand_from " + verb.name + "'";
      for (const std::string& flag : verb.flags) {
        if (flag.compare(0, 2, "--") == 0) script += of + both + " -l " + flag.substr(2) + "\n";
      }
      for (std::size_t i = 0; i < verb.places.size(); ++i) {
        // Behind the program, the resource and the verb; flags are not counted.
        const std::string here =
            both.substr(0, both.size() - 1) +
            "; and test (count (commandline -opc | string match -v -- \"-*\")) -eq " +
            std::to_string(3 + i) + "'";
        script += of + here + " -a '(" + list_of(program, verb.places[i]) + ")'\n";
      }
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
