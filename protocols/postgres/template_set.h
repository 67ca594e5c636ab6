// Which of many templates a statement matches: the first one, whatever else does.
//
// Found by normal form: the cost hangs on the statement, and on how many templates differ from each
// other in values only. Immutable once built; shared by all loops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "protocols/postgres/sql_normal.h"
#include "protocols/postgres/template.h"

namespace crossfade::postgres {

class TemplateSet {
 public:
  // In the order in which they are asked.
  explicit TemplateSet(std::vector<Template> templates);

  // The first that matches a statement of that normal form.
  //   cost  one hash over the form, no allocation
  std::optional<std::uint32_t> match(const NormalSql& statement) const;

  const Template& at(std::uint32_t index) const { return templates_[index]; }
  std::size_t size() const { return templates_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const;
  };
  std::vector<Template> templates_;
  std::unordered_map<std::string, std::vector<std::uint32_t>, Hash, std::equal_to<>> by_form_;
};

// Values of a template's fields, in the order of Template::fields, in a statement that matches it.
void field_values(const Template& form, const NormalSql& statement, std::vector<SqlValue>& values);

}  // namespace crossfade::postgres
