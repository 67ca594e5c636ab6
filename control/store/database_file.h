// A SQLite file of ours: made private, checked whole, of a schema that we know, synced at every
// commit.
//
// Knows no table. What is not ours, damaged or newer is left as it is.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "control/store/sqlite.h"
#include "protocols/base/result.h"

namespace crossfade {

struct DatabaseKind {
  std::int64_t application_id;  // in the header of every file of that kind
  int schema;
  const char* create;  // a whole transaction that makes `schema` and sets both numbers
  // The i-th brings a file of schema i + 1 to the next one, as a whole; schema - 1 of them.
  std::span<const char* const> upgrades = {};
  const char* word;        // "state file"
  const char* without_it;  // "to start without any definitions"
};

// Refuses a file that is missing or empty while something that belongs to it is there: what it had
// is lost, and SQLite would delete its -wal.
//   suffixes  of the names of what belongs to it
Status check_not_lost(const std::string& path, const DatabaseKind& kind,
                      std::initializer_list<const char*> suffixes);

// Opens or creates the file. It is readable by its owner only, as is what SQLite puts beside it.
//   errors  BadConfig: it is damaged, not of that kind, or of a newer version: the reason says what
//           to do; System: it can not be opened
Result<Sqlite> open_database(const std::string& path, const DatabaseKind& kind);

}  // namespace crossfade
