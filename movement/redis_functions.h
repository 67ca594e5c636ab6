// Function libraries (FUNCTION LOAD, since Redis 7) of both sides: are they the same?
//
// They are no keys: no ledger names them and no repair copies them, but a FCALL after the cutover
// needs them. Compared by name and code: FUNCTION DUMP has them in an order of its own, and a
// version at its end.
#pragma once

#include <string>

#include "movement/redis_value.h"
#include "protocols/base/result.h"

namespace crossfade {

// Asks both servers; their lines are ready. Empty: both have the same libraries. Else in what they
// differ, and what to do, or that a server does not tell, in its own words. A server that does not
// know the command has none.
//   errors  Unavailable: a connection is lost, or no answer in time
Result<std::string> compare_functions(const BothLines& lines);

}  // namespace crossfade
