// What a PATCH may make of a migration, as far as it has come. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "control/ledger/ledger.h"
#include "control/service/call.h"
#include "control/service/new_only_writes.h"
#include "control/state.h"
#include "protocols/base/result.h"

namespace crossfade {

Error cannot_change(const char* what, MigrationStatus status);

Migration with_spec(const Migration& migration, MigrationSpec spec);

//   errors  Conflict: what it may not be any more, or by force only
Status check_patch(const State& state, const Migration& migration, const MigrationSpec& patched,
                   const Call& call);

// Whether it makes another side right too early: see right_side.h.
//   errors  Conflict
Status check_right_side(const Migration& migration, const MigrationSpec& patched,
                        const Ledger& ledger);

// While it routes, an end that has passed takes all traffic back.
//   now  Unix time, seconds
std::optional<std::string> window_objection(const Migration& migration,
                                            const MigrationSpec& patched, std::int64_t now);

bool begins_to_write_both(const Migration& migration, const MigrationSpec& patched);

// It begins to write to both sides when new may have writes that old does not have.
//   count  of the migration
bool is_on_new_alone(const Migration& migration, const MigrationSpec& patched,
                     const NewOnlyWrites::Count& count);

// Likewise, and old would decide what it does not have.
std::optional<std::string> alone_objection(const Migration& migration, const MigrationSpec& patched,
                                           const NewOnlyWrites::Count& count);

}  // namespace crossfade
