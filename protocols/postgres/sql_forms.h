// Normal forms as marks: what a statement is, without its values, in sixteen bytes.
//
// Texts that are kept under one key (sql_numbers.h) have the same forms, so these are among their
// facts; and as no set of templates is asked for them, they stay right whatever set is in force.
#pragma once

#include <string_view>
#include <vector>

#include "protocols/postgres/sql_facts.h"

namespace crossfade::postgres {

// Two forms with one mark are not to be expected. Who made some would have his own statements taken
// for others.
FormMark mark_of(std::string_view form);

// Of each statement of a text; none where one has no normal form, or where it is not clear which
// are its statements.
//   sql   without comments, as what `facts` are of
std::vector<SqlForm> forms_of(std::string_view sql, const SqlFacts& facts);

}  // namespace crossfade::postgres
