// A template set that is asked for one field.
#include "strategies/user_fields.h"

#include <utility>

#include "strategies/known_template.h"

namespace crossfade {

namespace {

std::vector<redis::Template> read_queries(const std::vector<std::string>& queries) {
  std::vector<redis::Template> templates;
  templates.reserve(queries.size());
  for (const std::string& query : queries) {
    templates.push_back(known_template(query));
  }
  return templates;
}

}  // namespace

UserFields::UserFields(std::string name, std::vector<std::string> queries)
    : name_(std::move(name)), queries_(std::move(queries)), templates_(read_queries(queries_)) {}

std::optional<std::string_view> UserFields::user_of(const redis::RequestCutter& cutter,
                                                    std::string_view bytes) const {
  const redis::TemplateSet::Match match = templates_.match(cutter, bytes);
  if (match.state != redis::TemplateSet::Match::State::Found) return std::nullopt;
  return redis::field_value(templates_.at(match.index), name_, cutter, bytes);
}

}  // namespace crossfade
