// Names of resources: the operator's id, our uuid, and when something was made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "control/json/fields.h"

namespace crossfade {

inline constexpr std::size_t kIdMax = 128;            // bytes
inline constexpr std::size_t kDescriptionMax = 4096;  // bytes

// A random (version 4) uuid, "550e8400-e29b-41d4-a716-446655440000".
//   source  RFC 4122, 4.4; the bytes come from the kernel
std::string make_uuid();
bool looks_like_uuid(std::string_view text);

// RFC 3339 in UTC to the second, "2024-01-15T10:30:00Z".
std::string rfc3339(std::int64_t unix_seconds);
std::string now_rfc3339();

// Reads the id member of a definition: 1..128 letters, digits, '_', '-', '.', ':'; not a uuid,
// since
// "{id}" in a path may be either; not "." or "..", which clients fold out of paths.
std::string read_id(Fields& fields, std::string_view name);

// An id, as sentences for people name it.
inline std::string quoted(const std::string& id) { return "'" + id + "'"; }

// Who made a resource.
enum class Origin : std::uint8_t {
  Api,  // through the API; the API may change it
  File  // by the configuration file; the API only shows it
};

// What every resource has.
struct Identity {
  std::string id;
  std::string uuid;
  Origin origin = Origin::Api;
  std::uint64_t version = 1;  // counts changes; the ETag
  std::string created_at;
  std::string updated_at;

  bool operator==(const Identity&) const = default;
};

Identity make_identity(std::string id, Origin origin);
// Notes that the resource has changed.
void touch(Identity& identity, std::string at = now_rfc3339());

// The ETag of a GET, with its quotes.
std::string etag_of(const Identity& identity);

// For the store: all of an identity as members, and back.
void store_identity(const Identity& identity, Json& into);
Identity stored_identity(Fields& fields);

}  // namespace crossfade
