// Who the user of a request is, for strategies that give a share of the users. Values only.
#pragma once

#include <cstdint>
#include <string>

namespace crossfade {

enum class UserFrom : std::uint8_t {
  Login,   // as whom a client has logged in
  Key,     // Redis: a key's hash tag, or all of it
  Field,   // Redis: a field of the template that the request matches; where it has none, the key
  Comment  // PostgreSQL: what a comment of the SQL says; where none does, the login
};

struct UserSource {
  UserFrom from = UserFrom::Login;
  std::string name = {};     // Field, Comment
  std::string pattern = {};  // Key: which part of the keys that fit it; empty: of none

  bool operator==(const UserSource&) const = default;
};

}  // namespace crossfade
