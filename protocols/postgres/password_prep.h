// Passwords as PostgreSQL hashes them for SCRAM: by SASLprep where that works.
#pragma once

#include <string>
#include <string_view>

namespace crossfade::postgres {

// The bytes that a server and libpq derive keys from.
//   ASCII         as it is, control characters too
//   other UTF-8   SASLprep (RFC 4013): blanks of all sorts become blanks, invisible characters go,
//                 then NFKC
//   what SASLprep refuses, or what is not UTF-8, as it is: so do the server and libpq, and
//                 a login must not depend on who hashed the password
//   cost          O(size), and a search in tables per character that is not ASCII
//
// Prohibited characters are searched for before NFKC, as PostgreSQL does (RFC 3454 says after it).
// NFKC is that of Unicode 3.2; PostgreSQL's is newer, but characters newer than 3.2 are refused on
// both sides, and older ones have kept theirs but for five ideographs (U+2F868, U+2F874, U+2F91F,
// U+2F95F, U+2F9BF).
std::string prepared_password(std::string_view password);

}  // namespace crossfade::postgres
