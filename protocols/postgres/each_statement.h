// The statements of a text, one by one, in their normal form.
#pragma once

#include <string>
#include <string_view>

#include "protocols/postgres/sql_comments.h"
#include "protocols/postgres/sql_normal.h"
#include "protocols/postgres/unit_facts.h"

namespace crossfade::postgres {

// Calls use(form, statement) for each statement of a text, of which `normal` is then the normal
// form, while that returns true. False: it did not, or the text can not be read.
//   said   whose facts have forms
//   bare   memory for the text without comments; the statements are views of it, or of the text
//   cost   1 to 2 ns per byte; no allocation once `bare` and `normal` have room
template <class Use>
bool each_statement(const SaidText& said, std::string& bare, NormalSql& normal, Use use) {
  std::string_view sql = said.text;
  if (!has_no_comment(sql)) {
    if (without_comments(sql, bare) != SqlLexis::Plain) return false;
    sql = bare;
  }
  std::size_t at = 0;
  for (const SqlForm& form : said.facts->forms) {
    std::size_t begin = at;
    do {  // semicolons with nothing between them
      begin = at;
      if (at == sql.size() || !normalise_next(sql, at, normal)) return false;
    } while (normal.form.empty());
    std::string_view statement = sql.substr(begin, at - begin);
    if (statement.ends_with(';')) statement.remove_suffix(1);
    if (!use(form, statement)) return false;
  }
  return true;
}

}  // namespace crossfade::postgres
