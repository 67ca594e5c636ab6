// What the tests of SQL facts share: a small catalog, and facts as words.
#pragma once

#include <memory>
#include <string>

#include "protocols/postgres/sql_catalog_learn.h"
#include "protocols/postgres/sql_classify.h"

namespace crossfade::postgres {

// Tables t, u (plain), jobs (serial id, made_at), audited (trigger), parent (cascades), views v
// (pure), v_now, v_writes, far (foreign); functions f_imm, f_stable, f_volatile, ext_uuid and
// others.
std::shared_ptr<const SqlCatalog> sample_catalog();

inline SqlFacts facts_of(std::string_view sql, SqlReading reading = SqlReading::Standard) {
  std::string scratch;
  return classify(sql, *sample_catalog(), reading, SqlLimits{}.sql_parse_max, scratch);
}

// "write drawn sorted pin:listen lock:rows r:t w:s.u": all but steps, in this order; what goes
// without saying is left out.
std::string words_of(const SqlFacts& facts);

}  // namespace crossfade::postgres
