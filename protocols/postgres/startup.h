// The packets that open a connection: they have no type byte, and their version word says what they
// are. And the builders of both ends of that conversation.
//
// Judges as ProcessStartupPacket() of PostgreSQL 15 and 18 does. Knows nothing of what is granted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "protocols/postgres/message.h"

namespace crossfade::postgres {

inline constexpr std::uint32_t kStartUpMax =
    10'000;                                        // MAX_STARTUP_PACKET_LENGTH, without its length
inline constexpr std::size_t kCancelKeyMin = 1;    // bytes; a client may send back less than 4
inline constexpr std::size_t kCancelKeyMax = 256;  // bytes, of protocol 3.2
inline constexpr std::uint16_t kMajor = 3;
inline constexpr std::uint16_t kMinorMax = 2;  // the newest minor version that is known here

struct Version {
  std::uint16_t major = kMajor;
  std::uint16_t minor = 0;

  std::uint32_t word() const { return std::uint32_t{major} << 16 | minor; }
  bool operator==(const Version&) const = default;
};

struct DirectTls {};  // a TLS handshake begins at once; nothing of it is taken
struct SslRequest {};
struct GssEncRequest {};
struct CancelRequest {  // nothing is answered to it
  std::uint32_t pid;
  std::string_view key;
};
struct StartUp {  // any 3.x
  Version version;
  // As they came: name, NUL, value, NUL, and so on; without the packet's last NUL.
  std::string_view parameters;
};
// Answered with append_unsupported(), and closed.
struct UnsupportedVersion {
  Version version;
};
// Parameters that do not end where the packet ends: an error of class 08P01 in the server's words,
// kBadLayout, and closed.
struct BadLayout {};
inline constexpr const char* kBadLayout =
    "invalid startup packet layout: expected terminator as last byte";

using OpeningKind = std::variant<NeedMore, Broken, DirectTls, SslRequest, GssEncRequest,
                                 CancelRequest, StartUp, UnsupportedVersion, BadLayout>;
struct Opening {
  OpeningKind kind;
  std::size_t size = 0;  // of the packet; 0 for NeedMore, Broken, and DirectTls
};

// Whether TLS is spoken already: inside of it 0x16 is no handshake.
enum class Wire : std::uint8_t { Plain, Tls };

// What `bytes`, the first ones of a connection or those behind a packet that was answered, are.
//   Broken   a length that no server takes: closed without an answer, as by the server
//   cost     O(packet), no allocation. Views point into `bytes`.
// Bytes that a client sends behind an SSLRequest before it is answered are not encrypted: whoever
// grants it must refuse them, as they may come from somebody in between.
Opening read_opening(std::string_view bytes, Wire wire);

// The byte that answers an SSLRequest or a GSSENCRequest. Nothing: another, among them the 'E' of
// an error that comes unencrypted and so from anybody; it is not to be shown or believed. Whoever
// reads Tls must refuse bytes behind it, for the same reason.
enum class EncryptionAnswer : char { Tls = 'S', Gss = 'G', Refused = 'N' };
std::optional<EncryptionAnswer> view_encryption_answer(char byte);

struct Parameter {
  std::string_view name;
  std::string_view value;
};
// Takes the next of them off `parameters`; nothing when there are no more.
std::optional<Parameter> next_parameter(std::string_view& parameters);
// The value of a parameter: of several the last, as in the server.
std::optional<std::string_view> find_parameter(std::string_view parameters, std::string_view name);
// Protocol options ("_pq_.…") are for whoever speaks the protocol, not for the session.
bool is_protocol_option(std::string_view name);
// The session will speak replication commands, whatever true value it was asked for with.
bool wants_replication(std::string_view parameters);

void append_ssl_request(std::string& out);
void append_cancel_request(std::string& out, std::uint32_t pid, std::string_view key);
void append_start_up(std::string& out, Version version, std::string_view parameters);
void append_parameter(std::string& parameters, std::string_view name, std::string_view value);
// "3.2 is the newest that is spoken here, and these options nobody knows." Of a version that both
// know, `newest` is the one that was asked for.
void append_negotiate_version(std::string& out, Version newest,
                              std::span<const std::string_view> unknown_options);
// The FATAL error for a major version nobody speaks; in the form of protocol 2 below 3.
void append_unsupported(std::string& out, Version version);

}  // namespace crossfade::postgres
