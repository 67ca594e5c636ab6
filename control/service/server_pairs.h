// Whether a migration has two servers, and has them to itself.
//
// The order of writes and the ledger are those of one migration: what else writes to its servers
// leaves keys different unseen. Servers are told apart by address first, then by what the process
// there calls itself (its run id; of PostgreSQL the instant at which it began), as one may have
// several names; where it does not tell (INFO is forbidden, no credentials), by address alone.
//
// Does not see interlays without a migration, nor anybody who comes to a server directly.
#pragma once

#include <vector>

#include "control/service/check.h"
#include "control/service/servers.h"
#include "control/state.h"

namespace crossfade {

// Has the servers tell who they are: those of this migration, and of others in force that it must
// not meet. Blocks up to kCheckTimeout_ms for 16 of them that were not asked within the last
// second.
void ask_who_is_there(const State& state, const Migration& migration, Servers& servers);

// The checks, by what was told so far; asks nobody. For each interlay
//   distinct   old and new are not one database, and, where requests go to both, not one server
//   numbers    where writes go to both: a database has one number on both
//   alone      no other migration in force has one of these servers, where either of the two
//              writes to both of its sides, nor has another interlay of this one, beside a third
//   outside    where requests go to both: no clients of other interlays use new; those that use old
//              are said
//   one_history  where writes of some go to new alone: it moves what all others before old move
std::vector<Check> pair_checks(const State& state, const Migration& migration,
                               const Servers& servers);

// By what two endpoints are known to be one database, or, of Redis, databases of one server, where
// each can be reached from the other; null: by nothing.
const char* one_database(const Endpoint& one, const Endpoint& other, const Servers& servers);

// Why a comparison of everything would delete what somebody else has written: two interlays of the
// migration have one server in common and not both, or the other way round, or clients of another
// interlay use the side that is not right. Empty: nobody is known to.
std::string strangers_to_verification(const State& state, const Migration& migration,
                                      const Servers& servers);

}  // namespace crossfade
