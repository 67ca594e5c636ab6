// Templates of new that serve an api of PostgreSQL: whether its statements can be written anew by
// them, and be answered as before.
#pragma once

#include <optional>
#include <string>

#include "control/service/check.h"
#include "control/service/servers.h"
#include "control/state.h"

namespace crossfade {

// Why the statements of an api can not be written anew as a migration says; nullopt: they can, or
// all are passed as they are. Pure.
std::optional<std::string> rendered_sql_objection(const State& state, const Migration& migration,
                                                  const ApiBinding& part);

// Whether both servers of an interlay prepare the statements of templates, and describe them alike:
// clients hear parameters and columns from either. Nothing is run. nullopt: none is written anew.
// Blocks for up to kCheckTimeout_ms for each server.
std::optional<Check> check_rendered_sql(const State& state, const Migration& migration,
                                        const Binding& binding, Servers& servers);

}  // namespace crossfade
