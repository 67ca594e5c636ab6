// Which of many templates a request matches: the first one, whatever else does.
//
// Found by command and number of arguments, then argument by argument by what its text begins and
// ends with. The cost hangs on the request and on how many templates nearly match it, not on how
// many there are. Immutable once built; shared by all loops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "protocols/base/text_tree.h"
#include "protocols/redis/request.h"
#include "protocols/redis/template.h"

namespace crossfade::redis {

class TemplateSet {
 public:
  // In the order in which they are asked.
  explicit TemplateSet(std::vector<Template> templates);
  TemplateSet(const TemplateSet&) = delete;  // branches point into the templates
  TemplateSet& operator=(const TemplateSet&) = delete;

  struct Match {
    enum class State : std::uint8_t {
      Found,
      None,
      NeedMore  // it hangs on arguments that have not arrived
    } state;
    std::uint32_t index = 0;  // Found: in the order given
  };
  // Of a request that the cutter has cut, whole (then of at least one argument) or as far as it
  // arrived.
  //   bytes   as last given to cutter.advance()
  //   cost    no allocation
  Match match(const RequestCutter& cutter, std::string_view bytes) const;

  const Template& at(std::uint32_t index) const { return templates_[index]; }
  std::size_t size() const { return templates_.size(); }

 private:
  struct Branch {  // arguments of one shape, whatever their fields are called
    const Template::Argument* argument = nullptr;
    std::uint32_t first = 0;                 // of the templates behind it
    std::uint32_t next = 0;                  // level; no meaning behind the last argument
    std::vector<std::uint32_t> leaves = {};  // behind the last argument: templates, ascending
  };
  struct Prefix {
    TextTree suffixes;           // written backwards; their numbers are those of ends_
    std::uint32_t only = kNone;  // where there is one suffix, its number
    std::uint32_t first = kNone;
  };
  struct Level {  // what may stand at one argument
    TextTree prefixes = {};
    std::uint32_t first = 0;
    // For arguments of which no more than the size is known.
    std::uint32_t whole = kNone;   // the branch that is one field and nothing else, in branches_
    std::uint32_t others = kNone;  // the first template behind any other branch
  };
  struct Head {  // of one command
    // By subcommand, empty for none, and number of arguments; sorted.
    std::vector<std::pair<std::pair<std::string, std::size_t>, std::uint32_t>> levels;
    bool subcommands = false;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const;
  };
  struct Search;

  static constexpr std::uint32_t kNone = UINT32_MAX;

  std::uint32_t build(const std::vector<std::uint32_t>& members, std::size_t argument);
  std::uint32_t add_branch(const std::vector<std::uint32_t>& members, std::size_t argument);
  void descend(std::uint32_t level, std::size_t argument, Search& search) const;
  void descend_unseen(const Level& level, std::size_t argument, Search& search) const;
  void follow(const Branch& branch, std::size_t argument, Search& search) const;

  std::vector<Template> templates_;
  std::vector<Branch> branches_;
  std::vector<std::vector<std::uint32_t>> ends_;  // branches of one prefix and suffix
  std::vector<Prefix> prefixes_;
  std::vector<Level> levels_;
  std::unordered_map<std::string, Head, Hash, std::equal_to<>> heads_;
  std::size_t command_max_ = 0;  // bytes of the longest command
};

// Values of a template's fields, in the order of Template::fields, in a whole request that matches
// it. Views into `bytes`.
void field_values(const Template& form, const RequestCutter& cutter, std::string_view bytes,
                  std::vector<std::string_view>& values);

// Likewise of the field of that name; nullopt: it has none.
//   cost  no allocation
std::optional<std::string_view> field_value(const Template& form, const std::string& name,
                                            const RequestCutter& cutter, std::string_view bytes);

}  // namespace crossfade::redis
