// Forms of a text, statement by statement.
#include "protocols/postgres/sql_forms.h"

#include <xxhash.h>

#include <algorithm>
#include <variant>

#include "protocols/postgres/sql_normal.h"

namespace crossfade::postgres {

namespace {

bool controls(const SqlFacts& facts, std::size_t statement) {
  using What = TransactionStep::What;
  return std::ranges::any_of(facts.steps, [&](const Step& step) {
    const auto* const transaction = std::get_if<TransactionStep>(&step.what);
    return step.statement == statement && transaction &&
           (transaction->what == What::Begin || transaction->what == What::Commit ||
            transaction->what == What::Rollback);
  });
}

}  // namespace

FormMark mark_of(std::string_view form) {
  const XXH128_hash_t hash = XXH3_128bits(form.data(), form.size());
  return {hash.low64, hash.high64};
}

std::vector<SqlForm> forms_of(std::string_view sql, const SqlFacts& facts) {
  std::vector<SqlForm> forms;
  NormalSql normal;
  for (std::size_t at = 0; at < sql.size();) {
    if (!normalise_next(sql, at, normal)) return {};
    if (normal.form.empty()) continue;
    if (forms.size() == facts.statements) return {};  // semicolons within a statement
    forms.push_back({mark_of(normal.form), controls(facts, forms.size())});
  }
  if (forms.size() != facts.statements) return {};
  return forms;
}

}  // namespace crossfade::postgres
