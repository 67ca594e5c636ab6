// Templates by their normal forms.
#include "protocols/postgres/template_set.h"

#include <xxhash.h>

#include <utility>

namespace crossfade::postgres {

std::size_t TemplateSet::Hash::operator()(std::string_view text) const {
  return XXH3_64bits(text.data(), text.size());
}

TemplateSet::TemplateSet(std::vector<Template> templates) : templates_(std::move(templates)) {
  for (std::uint32_t i = 0; i < templates_.size(); ++i) by_form_[templates_[i].form].push_back(i);
}

std::optional<std::uint32_t> TemplateSet::match(const NormalSql& statement) const {
  const auto found = by_form_.find(std::string_view(statement.form));
  if (found == by_form_.end()) return std::nullopt;
  for (const std::uint32_t index : found->second) {
    if (values_match(templates_[index], statement.values)) return index;
  }
  return std::nullopt;
}

void field_values(const Template& form, const NormalSql& statement, std::vector<SqlValue>& values) {
  values.assign(form.fields.size(), {SqlValue::What::Literal, {}});
  for (std::size_t i = 0; i < form.values.size(); ++i) {
    if (form.values[i].field) values[*form.values[i].field] = statement.values[i];
  }
}

}  // namespace crossfade::postgres
