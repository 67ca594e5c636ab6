// What both ends of SCRAM read and write: attributes of messages, names of mechanisms, nonces.
//
// A message is "x=value" joined by commas (RFC 5802, section 5.1); values hold no comma.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace crossfade::postgres {

inline constexpr std::string_view kScram = "SCRAM-SHA-256";
inline constexpr std::string_view kScramPlus = "SCRAM-SHA-256-PLUS";
// The one channel binding that PostgreSQL has, as clients name it in front of their first message.
inline constexpr std::string_view kEndPoint = "tls-server-end-point";
inline constexpr std::size_t kNonceBytes = 18;  // random ones to make a nonce of: as the server's

// The mechanisms of AuthenticationSASL without -PLUS, for a client whose login is passed on: its
// TLS, if any, ends here, so it can not bind to the server's. What is no list of names stays as it
// is.
std::string without_plus(std::string_view mechanisms);

// A nonce of random bytes: printable, no comma.
std::string nonce_of(std::string_view random);

// Printable ASCII but for the comma.
bool is_printable(std::string_view text);

// The first character, NUL at the end: messages with a NUL in them are refused before.
inline char front_of(std::string_view message) { return message.empty() ? '\0' : message.front(); }

// Takes "x=value" and the comma behind it off `message`, whatever x is.
//   returns   the value, a view into the message; nullopt, and takes nothing, if no '=' is second
std::optional<std::string_view> take_value(std::string_view& message);

// The same, if x is `name`; nullopt otherwise.
std::optional<std::string_view> take_value(std::string_view& message, char name);

}  // namespace crossfade::postgres
