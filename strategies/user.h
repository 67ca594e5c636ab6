// Who the user of a request is, for strategies that give a share of the users. Values only.
#pragma once

#include <cstdint>
#include <string>

#include "protocols/base/bucket.h"

namespace crossfade {

// Where on the line that is split requests are that no field says the user of: only the whole of it
// has them.
inline constexpr std::uint32_t kNobodysBucket = kWhole - 1;

enum class UserFrom : std::uint8_t {
  Login,   // as whom a client has logged in
  Key,     // Redis: a key's hash tag, or all of it
  Field,   // a field of the template that the request matches; where it has none, of Redis the key
  Comment  // PostgreSQL: what a comment of the SQL says; where none does, the login
};

struct UserSource {
  UserFrom from = UserFrom::Login;
  std::string name = {};     // Field, Comment
  std::string pattern = {};  // Key: which part of the keys that fit it; empty: of none

  bool operator==(const UserSource&) const = default;
};

}  // namespace crossfade
