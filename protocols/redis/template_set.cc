// Levels built from the first argument on, and gone down with the best template so far in mind.
#include "protocols/redis/template_set.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <map>
#include <optional>

#include "protocols/base/ascii.h"
#include "protocols/redis/argument.h"

namespace crossfade::redis {

namespace {

constexpr std::size_t kCommandMax = 128;  // bytes of a command or subcommand that is looked up

// The value of the first field of that name in the arguments before `end`.
std::optional<std::string_view> value_before(const Template& form, std::size_t end,
                                             const std::string& name, const RequestCutter& cutter,
                                             std::string_view bytes) {
  for (std::size_t i = form.words; i < end; ++i) {
    std::optional<std::string_view> value;
    split(form.arguments[i], cutter.arg(i, bytes), [&](std::size_t piece, std::string_view text) {
      if (form.arguments[i][piece].text == name) value = text;
    });
    if (value) return value;
  }
  return std::nullopt;
}

bool repeats_agree(const Template& form, const RequestCutter& cutter, std::string_view bytes) {
  bool agree = true;
  for (std::size_t i = form.words; i < form.arguments.size(); ++i) {
    split(form.arguments[i], cutter.arg(i, bytes), [&](std::size_t piece, std::string_view text) {
      const auto before = value_before(form, i, form.arguments[i][piece].text, cutter, bytes);
      if (before && *before != text) agree = false;
    });
  }
  return agree;
}

// A word in lower case, on the stack.
class LowerWord {
 public:
  explicit LowerWord(std::string_view word) : size_(std::min(word.size(), kCommandMax + 1)) {
    for (std::size_t i = 0; i < size_; ++i) bytes_[i] = ascii_lower(word[i]);
  }
  std::string_view text() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, kCommandMax + 1> bytes_;
  std::size_t size_;
};

}  // namespace

struct TemplateSet::Search {
  const RequestCutter& cutter;
  std::string_view bytes;
  std::size_t arguments;        // of the whole request
  std::uint32_t best = kNone;   // the first template that matches
  std::uint32_t needs = kNone;  // the first one of which more arguments must tell

  bool has(std::size_t argument) const { return argument < cutter.arg_count(); }
  std::string_view text(std::size_t argument) const { return cutter.arg(argument, bytes); }
  // Of one that has not arrived: at least one byte, nothing, or not known.
  std::optional<bool> has_bytes(std::size_t argument) const {
    if (argument != cutter.arg_count() || cutter.open_bulk_size() < 0) return std::nullopt;
    return cutter.open_bulk_size() > 0;
  }
};

std::size_t TemplateSet::Hash::operator()(std::string_view text) const {
  return XXH3_64bits(text.data(), text.size());
}

TemplateSet::TemplateSet(std::vector<Template> templates) : templates_(std::move(templates)) {
  std::map<std::string, std::map<std::pair<std::string, std::size_t>, std::vector<std::uint32_t>>>
      commands;
  for (std::uint32_t i = 0; i < templates_.size(); ++i) {
    const Template& form = templates_[i];
    const std::string& command = form.arguments[0][0].text;
    const std::string subcommand = form.words == 2 ? form.arguments[1][0].text : "";
    if (command.size() > kCommandMax || subcommand.size() > kCommandMax) continue;  // none has it
    commands[command][{subcommand, form.arguments.size()}].push_back(i);
  }
  for (const auto& [command, groups] : commands) {
    command_max_ = std::max(command_max_, command.size());
    Head head;
    for (const auto& [key, members] : groups) {
      head.subcommands = head.subcommands || !key.first.empty();
      head.levels.emplace_back(key, build(members, key.first.empty() ? 1 : 2));
    }
    heads_.emplace(command, std::move(head));
  }
}

// `members` are ascending, of one number of arguments, and alike before `argument`.
std::uint32_t TemplateSet::build(const std::vector<std::uint32_t>& members, std::size_t argument) {
  if (argument == templates_[members[0]].arguments.size()) {  // the command alone
    branches_.push_back({.first = members[0], .leaves = members});
    levels_.push_back(
        {.first = members[0], .whole = static_cast<std::uint32_t>(branches_.size() - 1)});
    return static_cast<std::uint32_t>(levels_.size() - 1);
  }
  using Shapes = std::map<std::vector<std::string>, std::vector<std::uint32_t>>;
  std::map<std::string, std::map<std::string, Shapes>> found;  // by prefix and suffix
  for (const std::uint32_t member : members) {
    const Template::Argument& one = templates_[member].arguments[argument];
    std::string backwards(suffix_of(one));
    std::ranges::reverse(backwards);
    found[std::string(prefix_of(one))][backwards][shape_of(one)].push_back(member);
  }
  Level level{.first = members[0]};
  std::vector<TextTree::Held> prefixes;
  for (const auto& [prefix, suffixes] : found) {
    Prefix entry;
    std::vector<TextTree::Held> held;
    for (const auto& [suffix, shapes] : suffixes) {
      std::vector<std::uint32_t> branches;
      for (const auto& [shape, behind] : shapes) {
        entry.first = std::min(entry.first, behind[0]);
        branches.push_back(add_branch(behind, argument));
        const Template::Argument& one = templates_[behind[0]].arguments[argument];
        if (one.size() == 1 && is_field(one[0])) {
          level.whole = branches.back();
        } else {
          level.others = std::min(level.others, behind[0]);
        }
      }
      std::ranges::sort(branches, {},
                        [&](std::uint32_t branch) { return branches_[branch].first; });
      held.emplace_back(suffix, static_cast<std::uint32_t>(ends_.size()));
      ends_.push_back(std::move(branches));
    }
    if (held.size() == 1) entry.only = held[0].second;
    entry.suffixes = TextTree(std::move(held));
    prefixes.emplace_back(prefix, static_cast<std::uint32_t>(prefixes_.size()));
    prefixes_.push_back(std::move(entry));
  }
  level.prefixes = TextTree(std::move(prefixes));
  levels_.push_back(std::move(level));
  return static_cast<std::uint32_t>(levels_.size() - 1);
}

std::uint32_t TemplateSet::add_branch(const std::vector<std::uint32_t>& members,
                                      std::size_t argument) {
  const Template& form = templates_[members[0]];
  Branch branch{.argument = &form.arguments[argument], .first = members[0]};
  if (argument + 1 == form.arguments.size()) {
    branch.leaves = members;
  } else {
    branch.next = build(members, argument + 1);
  }
  branches_.push_back(std::move(branch));
  return static_cast<std::uint32_t>(branches_.size() - 1);
}

void TemplateSet::follow(const Branch& branch, std::size_t argument, Search& search) const {
  if (argument + 1 < search.arguments) return descend(branch.next, argument + 1, search);
  for (const std::uint32_t leaf : branch.leaves) {
    if (leaf >= search.best) return;
    if (templates_[leaf].repeats) {
      if (!search.has(argument)) {
        search.needs = std::min(search.needs, leaf);
        continue;
      }
      if (!repeats_agree(templates_[leaf], search.cutter, search.bytes)) continue;
    }
    search.best = leaf;
    return;
  }
}

// Some may match: of the one that is a field and nothing else the size tells, of others nothing
// does.
void TemplateSet::descend_unseen(const Level& level, std::size_t argument, Search& search) const {
  search.needs = std::min(search.needs, level.others);
  if (level.whole == kNone) return;
  const Branch& branch = branches_[level.whole];
  const auto has_bytes = search.has_bytes(argument);
  if (!has_bytes) search.needs = std::min(search.needs, branch.first);
  if (has_bytes && *has_bytes && branch.first < search.best) follow(branch, argument, search);
}

void TemplateSet::descend(std::uint32_t index, std::size_t argument, Search& search) const {
  const Level& level = levels_[index];
  if (level.first >= search.best) return;
  if (argument == search.arguments) return follow(branches_[level.whole], argument, search);
  if (!search.has(argument)) return descend_unseen(level, argument, search);
  const std::string_view text = search.text(argument);
  const auto forwards = [&](std::size_t i) { return text[i]; };
  const auto backwards = [&](std::size_t i) { return text[text.size() - 1 - i]; };
  const auto try_end = [&](std::uint32_t end) {
    for (const std::uint32_t number : ends_[end]) {
      const Branch& branch = branches_[number];
      if (branch.first >= search.best) return;
      const auto ignore = [](std::size_t, std::string_view) {};
      if (split(*branch.argument, text, ignore)) follow(branch, argument, search);
    }
  };
  level.prefixes.walk(text.size(), forwards, [&](std::uint32_t held) {
    const Prefix& prefix = prefixes_[held];
    if (prefix.first >= search.best) return;
    if (prefix.only != kNone) return try_end(prefix.only);
    prefix.suffixes.walk(text.size(), backwards, try_end);
  });
}

TemplateSet::Match TemplateSet::match(const RequestCutter& cutter, std::string_view bytes) const {
  using State = Match::State;
  if (cutter.arg_count() == 0) {
    return {.state = State::NeedMore};
  }
  const std::string_view command = cutter.arg(0, bytes);
  if (command.size() > command_max_) return {.state = State::None};
  const auto head = heads_.find(LowerWord(command).text());
  if (head == heads_.end()) return {.state = State::None};
  const std::size_t arguments =
      std::max(cutter.arg_count(),
               static_cast<std::size_t>(std::max<std::int64_t>(cutter.declared_args(), 0)));
  Search search{.cutter = cutter, .bytes = bytes, .arguments = arguments};
  const auto look = [&](std::string_view subcommand, std::size_t words) {
    const auto& levels = head->second.levels;
    const auto found =
        std::ranges::lower_bound(levels, std::pair(subcommand, arguments), {}, [](const auto& one) {
          return std::pair(std::string_view(one.first.first), one.first.second);
        });
    if (found == levels.end() || found->first.first != subcommand ||
        found->first.second != arguments) {
      return;
    }
    descend(found->second, words, search);
  };
  look("", 1);
  if (head->second.subcommands && arguments > 1) {
    if (!search.has(1)) return {.state = State::NeedMore};
    if (const std::string_view word = search.text(1); word.size() <= kCommandMax && !word.empty()) {
      look(LowerWord(word).text(), 2);
    }
  }
  if (search.needs < search.best) return {.state = State::NeedMore};
  if (search.best == kNone) return {.state = State::None};
  return {.state = State::Found, .index = search.best};
}

void field_values(const Template& form, const RequestCutter& cutter, std::string_view bytes,
                  std::vector<std::string_view>& values) {
  values.assign(form.fields.size(), {});
  for (std::size_t i = form.words; i < form.arguments.size(); ++i) {
    split(form.arguments[i], cutter.arg(i, bytes), [&](std::size_t piece, std::string_view text) {
      const auto name = std::ranges::find(form.fields, form.arguments[i][piece].text);
      values[static_cast<std::size_t>(name - form.fields.begin())] = text;
    });
  }
}

std::optional<std::string_view> field_value(const Template& form, const std::string& name,
                                            const RequestCutter& cutter, std::string_view bytes) {
  return value_before(form, form.arguments.size(), name, cutter, bytes);
}

}  // namespace crossfade::redis
