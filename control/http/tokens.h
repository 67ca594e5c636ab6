// Bearer tokens: who may call, and in which role. Only digests are kept.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade {

enum class Role : std::uint8_t { Read, Admin };  // admin includes read
const char* name_of(Role role);

using Sha256 = std::array<unsigned char, 32>;

struct Token {
  std::string name;  // shown in the journal as the actor
  Role role = Role::Read;
  Sha256 digest{};
};

Sha256 sha256_of(std::string_view bytes);
// Reads 64 hexadecimal digits in either case; nullopt for anything else.
std::optional<Sha256> sha256_from_hex(std::string_view hex);

// Finds the token of `presented`; nullptr when nobody has it.
//   cost  one digest and one constant-time comparison with each token, whichever matches
const Token* find_token(const std::vector<Token>& tokens, std::string_view presented);

}  // namespace crossfade
