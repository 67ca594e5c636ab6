// What functions of PostgreSQL itself do that their volatility does not tell.
//
// pg_proc calls random(), pg_sleep(), nextval() and pg_advisory_lock() volatile, all alike, and
// says nothing of those whose answer hangs on the server that is asked.
#pragma once

#include <optional>
#include <string_view>

namespace crossfade::postgres {

class SqlCatalog;

enum class FunctionNature {
  Clock,     // the time of the server
  Chance,    // drawn: random, gen_random_uuid; and what takes time but changes nothing
  Sided,     // about the server or the session that is asked; changes nothing
  Sequence,  // nextval, setval: a write that no rollback takes back
  Notifies,  // pg_notify
  Settings,  // set_config
  Seed,      // setseed
  Opaque,    // runs SQL that is given as text, or reads relations that are
  LockSession,
  LockTransaction,
  Unlock
};

// What is known of a function's name; nullopt for most. Holds only where no user has made a
// function of that name.
std::optional<FunctionNature> nature_of(std::string_view name);

// Aggregates and window functions of PostgreSQL whose answer hangs on the order in which rows come.
bool hangs_on_order(std::string_view name);

// "pg_catalog", "information_schema", "pg_toast".
bool is_system_schema(std::string_view schema);

// Fills in the functions above and the common ones that hang on their arguments alone, and the
// common operators.
void add_built_in(SqlCatalog& catalog);

}  // namespace crossfade::postgres
