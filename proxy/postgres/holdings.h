// What a session holds at one of its servers, as far as it was given by us or seen: to know what
// that server lacks when the session comes back to it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "protocols/postgres/inventory.h"
#include "protocols/postgres/ring.h"

namespace crossfade::postgres {

// A Parse or a Close that its server has not answered, or a Describe whose answer tells a type. An
// error before it makes the server skip it.
struct Asked {
  std::uint64_t id = 0;
  enum class What : std::uint8_t {
    Brought,  // our Parse
    Alone,    // likewise, in a segment of its own: its error is nobody's
    Dropped,  // our Close
    Made,     // the client's Parse
    Closed,   // the client's Close
    Lacked,  // likewise, of what the server has not as the session has it: skipped, that is missing
    Described
  } what = What::Brought;
  std::string name;
  std::uint64_t serial = 0;  // of the statement; Described: bits of a ParameterAt
};

// The serial of what is there by a statement's name in its stead.
inline constexpr std::uint64_t kStandIn = UINT64_MAX;

struct Holdings {
  // Names of statements made by Parse -> which making of it; 0: there may be one, or none.
  std::map<std::string, std::uint64_t, std::less<>> statements;
  std::uint64_t unnamed = 0;  // likewise
  Ring<Asked> asked;
  SettingValues settings;
  std::vector<PreparedText> by_sql;  // statements that SQL has prepared
  // The session's version (see PostgresSession::version_) that all of this is of.
  std::uint64_t version = 0;
  // Of the first and the last Query that give it; 0: none is under way.
  std::uint64_t giving_first_id = 0;
  std::uint64_t giving_id = 0;
  std::uint64_t giving_since_ns = 0;
  Inventory given;  // with it: what is told meanwhile may be of another version
  std::uint64_t given_version = 0;
  bool refused = false;  // the server has refused that
  // Replies to messages up to this one reach nobody: they were asked of another server since.
  std::uint64_t ignored_through = 0;
};

}  // namespace crossfade::postgres
