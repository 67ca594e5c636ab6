// What a loop keeps to tell which templates units match: memory that is used again for each unit of
// which it is asked what apis it is of, or whose, and for each message that is written anew; and
// what it was told of types.
#pragma once

#include <string>

#include "protocols/postgres/told_types.h"
#include "protocols/postgres/unit_facts.h"
#include "strategies/sql_api_set.h"
#include "strategies/sql_user_fields.h"

namespace crossfade::postgres {

struct ApiScratch {
  Said said;  // by the unit that was read last
  SqlApiSet::Scratch texts;
  std::string rendered;  // a text
  std::string message;   // with it
  SqlUserFields::Scratch users;
  ToldTypes told;
};

}  // namespace crossfade::postgres
