// Which of many templates a statement matches: the first one, whatever else does.
//
// Found by normal form, and those of one form by the values that are theirs: the cost hangs on the
// statement, not on how many templates there are. Immutable once built; shared by all loops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "protocols/postgres/sql_forms.h"
#include "protocols/postgres/sql_normal.h"
#include "protocols/postgres/template.h"

namespace crossfade::postgres {

class TemplateSet {
 public:
  // In the order in which they are asked.
  explicit TemplateSet(std::vector<Template> templates);

  // The first that matches a statement of that normal form.
  //   cost  one hash over the form, and one of values that templates say; no allocation
  std::optional<std::uint32_t> match(const NormalSql& statement) const;

  // Those of one normal form, as who knows its mark asks for them.
  struct Alike {
    struct SameConstants {              // at the same places
      std::vector<std::size_t> places;  // among the values; none: all are fields
      std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> by_constants;  // by their hash
    };
    std::vector<SameConstants> sorts;
    // The first of all, where it asks nothing of the values.
    std::optional<std::uint32_t> whatever;
  };
  // Null: there are none. Valid as long as the set.
  const Alike* find(FormMark mark) const;
  // The first of them that matches values of a statement of that form.
  std::optional<std::uint32_t> match(const Alike& alike, const std::vector<SqlValue>& values) const;

  const Template& at(std::uint32_t index) const { return templates_[index]; }
  std::size_t size() const { return templates_.size(); }

 private:
  struct Hash {
    std::size_t operator()(const FormMark& mark) const { return mark.low; }
  };
  void add(std::uint32_t index);

  std::vector<Template> templates_;
  std::unordered_map<FormMark, Alike, Hash> by_form_;
};

// Values of a template's fields, in the order of Template::fields, in a statement that matches it.
void field_values(const Template& form, const NormalSql& statement, std::vector<SqlValue>& values);

}  // namespace crossfade::postgres
