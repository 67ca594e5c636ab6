// Memory that is used again for each unit of which it is asked what apis it is of.
#pragma once

#include "protocols/postgres/unit_facts.h"
#include "strategies/sql_api_set.h"

namespace crossfade::postgres {

struct ApiScratch {
  SaidTexts said;  // by the unit that was read last
  SqlApiSet::Scratch texts;
};

}  // namespace crossfade::postgres
