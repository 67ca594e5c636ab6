// Templates by their normal forms, and by what they say of values.
#include "protocols/postgres/template_set.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <utility>

namespace crossfade::postgres {

namespace {

constexpr std::size_t kWordMax = 5;  // NULL, TRUE, FALSE: the literals that may be in any case

// Literals that are the same (see values_match()) have one hash.
std::uint64_t add_constant(std::uint64_t hash, std::string_view literal) {
  std::array<char, kWordMax> word{};
  const auto is_letter = [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; };
  if (literal.size() <= kWordMax && std::ranges::all_of(literal, is_letter)) {
    std::ranges::transform(literal, word.begin(), [](char c) { return c | 0x20; });
    literal = {word.data(), literal.size()};
  }
  return XXH3_64bits_withSeed(literal.data(), literal.size(), hash);
}

std::vector<std::size_t> places_of_constants(const Template& form) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < form.values.size(); ++i) {
    if (!form.values[i].field) places.push_back(i);
  }
  return places;
}

}  // namespace

TemplateSet::TemplateSet(std::vector<Template> templates) : templates_(std::move(templates)) {
  for (std::uint32_t i = 0; i < templates_.size(); ++i) add(i);
}

void TemplateSet::add(std::uint32_t index) {
  const Template& form = templates_[index];
  const auto [at, first] = by_form_.try_emplace(mark_of(form.form));
  Alike& alike = at->second;
  std::vector<std::size_t> places = places_of_constants(form);
  if (first && places.empty() && form.values.size() == form.fields.size()) alike.whatever = index;
  std::uint64_t hash = 0;
  for (const std::size_t place : places) hash = add_constant(hash, form.values[place].constant);
  auto sort = std::ranges::find(alike.sorts, places, &Alike::SameConstants::places);
  if (sort == alike.sorts.end()) sort = alike.sorts.insert(sort, {std::move(places), {}});
  sort->by_constants[hash].push_back(index);
}

const TemplateSet::Alike* TemplateSet::find(FormMark mark) const {
  const auto found = by_form_.find(mark);
  return found == by_form_.end() ? nullptr : &found->second;
}

std::optional<std::uint32_t> TemplateSet::match(const NormalSql& statement) const {
  const Alike* const alike = find(mark_of(statement.form));
  return alike == nullptr ? std::nullopt : match(*alike, statement.values);
}

std::optional<std::uint32_t> TemplateSet::match(const Alike& alike,
                                                const std::vector<SqlValue>& values) const {
  std::optional<std::uint32_t> first;
  for (const Alike::SameConstants& sort : alike.sorts) {
    std::uint64_t hash = 0;
    for (const std::size_t place : sort.places) {
      if (place < values.size()) hash = add_constant(hash, values[place].text);
    }
    const auto found = sort.by_constants.find(hash);
    if (found == sort.by_constants.end()) continue;
    for (const std::uint32_t index : found->second) {
      if (first && *first < index) break;
      if (!values_match(templates_[index], values)) continue;
      first = index;
      break;
    }
  }
  return first;
}

void field_values(const Template& form, const NormalSql& statement, std::vector<SqlValue>& values) {
  values.assign(form.fields.size(), {SqlValue::What::Literal, {}});
  for (std::size_t i = 0; i < form.values.size(); ++i) {
    if (form.values[i].field) values[*form.values[i].field] = statement.values[i];
  }
}

}  // namespace crossfade::postgres
