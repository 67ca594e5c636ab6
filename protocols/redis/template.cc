// Words of a template, and their fields.
#include "protocols/redis/template.h"

#include <algorithm>

#include "protocols/base/ascii.h"
#include "protocols/redis/argument.h"
#include "protocols/redis/command.h"
#include "protocols/redis/facts.h"
#include "protocols/redis/inline_args.h"

namespace crossfade::redis {

namespace {

constexpr std::size_t kArgumentsMax = 256;

Error wrong(std::string why) { return Error{Errc::BadInput, "", std::move(why)}; }

Status note_fields(Template& into) {
  std::size_t places = 0;
  for (const Template::Argument& argument : into.arguments) {
    for (const TextPiece& piece : argument) {
      if (!is_field(piece)) continue;
      if (++places > kFieldsMax) return wrong("has more than 256 fields");
      const bool known = std::ranges::find(into.fields, piece.text) != into.fields.end();
      if (known) into.repeats = true;
      if (!known) into.fields.push_back(piece.text);
    }
  }
  return success();
}

// The command's words, in lower case.
Status note_words(Template& into) {
  if (!is_exact(into.arguments[0])) return wrong("must begin with a command, not with a field");
  std::string& command = into.arguments[0][0].text;
  command = ascii_lower(std::move(command));
  const CommandSpec* spec = CommandTable::built_in()->find(command);
  if (spec == nullptr || !spec->has_subcommands || into.arguments.size() < 2) return success();
  if (!is_exact(into.arguments[1])) return wrong("has a field in place of a subcommand");
  std::string word = ascii_lower(into.arguments[1][0].text);
  if (CommandTable::built_in()->find(command, word) == nullptr) return success();
  into.arguments[1][0].text = std::move(word);
  into.words = 2;
  return success();
}

const CommandSpec* built_in_spec(const Template& form) {
  const auto& arguments = form.arguments;
  const auto commands = CommandTable::built_in();
  return form.words == 2 ? commands->find(arguments[0][0].text, arguments[1][0].text)
                         : commands->find(arguments[0][0].text);
}

// A request of that form, each of its fields one letter.
std::string sample_of(const Template& form) {
  std::string bytes("*");
  bytes.append(std::to_string(form.arguments.size())).append("\r\n");
  for (const Template::Argument& argument : form.arguments) {
    std::string text;
    for (const TextPiece& piece : argument) text.append(is_field(piece) ? "x" : piece.text);
    bytes.append("$").append(std::to_string(text.size())).append("\r\n");
    bytes.append(text).append("\r\n");
  }
  return bytes;
}

}  // namespace

Status check_argument(const Template::Argument& argument) {
  for (std::size_t i = 0; i < argument.size(); ++i) {
    if (!is_field(argument[i])) continue;
    if (i > 0 && is_field(argument[i - 1])) {
      return wrong("has two fields without anything between them: where one ends is not told");
    }
    for (std::size_t k = 0; k < i; ++k) {
      if (argument[k] == argument[i]) {
        return wrong("has field '" + argument[i].text + "' twice in one argument");
      }
    }
  }
  return success();
}

Result<Template> read_template(std::string_view query) {
  if (query.size() > kTemplateMax) return wrong("is longer than 16384 bytes");
  if (query.find_first_of(std::string_view("\0\r\n", 3)) != query.npos) {
    return wrong("must be one line, without zero bytes");
  }
  Template read;
  for (std::size_t at = 0;;) {
    std::string text;
    const Inline got = next_inline_arg(query, at, text);
    if (got == Inline::Unbalanced) return wrong("has a quote that does not end, or ends in a word");
    if (got == Inline::End) break;
    if (read.arguments.size() == kArgumentsMax) return wrong("has more than 256 arguments");
    auto pieces = cut_text(text);
    if (!pieces) return pieces.error();
    if (pieces->empty()) pieces->push_back({TextPiece::What::Literal, ""});
    if (Status status = check_argument(*pieces); !status) return status.error();
    read.arguments.push_back(std::move(*pieces));
  }
  if (read.arguments.empty()) return wrong("is empty");
  if (Status status = note_words(read); !status) return status.error();
  if (Status status = note_fields(read); !status) return status.error();
  return read;
}

Kind kind_of(const Template& form) {
  const CommandSpec* spec = built_in_spec(form);
  return spec != nullptr && spec->kind == Kind::Read ? Kind::Read : Kind::Write;
}

std::optional<Kind> certain_kind(const Template& form) {
  constexpr std::string_view kMayOnlyRead[] = {
      "bitfield", "eval", "evalsha", "fcall", "georadius", "georadiusbymember", "sort"};
  const CommandSpec* spec = built_in_spec(form);
  if (spec == nullptr || (spec->kind != Kind::Read && spec->kind != Kind::Write) ||
      std::ranges::find(kMayOnlyRead, spec->name) != std::end(kMayOnlyRead)) {
    return std::nullopt;
  }
  return spec->kind;
}

bool does_data_only(const Template& form) {
  const CommandSpec* spec = built_in_spec(form);
  if (spec == nullptr || spec->effect != Effect::None || spec->blocks || spec->cursor ||
      spec->sided) {
    return false;
  }
  const auto keys = key_arguments(form);
  return keys && !keys->empty();
}

std::optional<std::vector<std::size_t>> key_arguments(const Template& form) {
  const CommandSpec* spec = built_in_spec(form);
  if (spec == nullptr) return std::nullopt;
  const std::string sample = sample_of(form);
  RequestCutter cutter;
  static_cast<void>(cutter.advance(sample));
  std::vector<std::size_t> keys;
  for (const KeySpec& one : spec->keys) {
    const KeyRange range = find_keys(one, cutter, sample);
    if (range.state == KeyRange::State::None) continue;
    if (range.state != KeyRange::State::Keys) return std::nullopt;
    for (std::int64_t i = range.first; i <= range.last; i += range.step) {
      keys.push_back(static_cast<std::size_t>(i));
    }
  }
  return keys;
}

}  // namespace crossfade::redis
