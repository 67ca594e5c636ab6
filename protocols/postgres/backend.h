// What a session must know of a server's messages, as views into them; and builders of the messages
// that a sidecar answers with of its own.
//
// Views are made of a whole message's body; nothing (nullopt) means that no server sends this.
//
// Source: PostgreSQL documentation, "Message Formats", "Error and Notice Message Fields".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocols/postgres/types.h"

namespace crossfade::postgres {

inline constexpr std::size_t kBackendKeyMin = 4;    // bytes, and the only size in protocol 3.0
inline constexpr std::size_t kBackendKeyMax = 256;  // bytes

enum class Auth : std::uint32_t {
  Ok = 0,
  Kerberos5 = 2,
  Cleartext = 3,
  Md5 = 5,
  Scm = 6,  // of servers before 9.1
  Gss = 7,
  GssContinue = 8,
  Sspi = 9,
  Sasl = 10,
  SaslContinue = 11,
  SaslFinal = 12
};
struct Authentication {
  Auth kind;              // or a number nobody knows
  std::string_view data;  // Md5: 4 bytes of salt; Sasl: mechanisms; Continue, Final: their data
};
std::optional<Authentication> view_authentication(std::string_view body);
// Takes the next mechanism off the data of Auth::Sasl; nothing behind the last.
std::optional<std::string_view> next_mechanism(std::string_view& mechanisms);

struct BackendKey {
  std::uint32_t pid;
  std::string_view key;
};
std::optional<BackendKey> view_backend_key(std::string_view body);

std::optional<Transaction> view_ready(std::string_view body);

// Fields of ErrorResponse and NoticeResponse; empty where the server sent none.
struct Report {
  std::string_view severity;  // never translated where the server sends that ('V', since 9.6)
  std::string_view sqlstate;
  std::string_view message;
  std::string_view detail;
  std::string_view hint;
};
std::optional<Report> view_report(std::string_view body);
// Head: the error is FATAL or PANIC, so the server closes the connection.
bool ends_connection(std::string_view body);

struct Setting {  // ParameterStatus
  std::string_view name;
  std::string_view value;
};
std::optional<Setting> view_setting(std::string_view body);

std::optional<std::string_view> view_command_tag(std::string_view body);

struct Notification {
  std::uint32_t pid;
  std::string_view channel;
  std::string_view payload;
};
std::optional<Notification> view_notification(std::string_view body);

struct Column {
  std::string_view name;
  std::uint32_t type;  // OID
  std::uint32_t modifier;
  std::uint16_t format;  // 0 text, 1 binary
};
// Columns of a RowDescription, one by one.
class Columns {
 public:
  explicit Columns(std::string_view body);
  std::uint16_t count() const { return count_; }
  // Nothing behind the last, and when the message is none.
  std::optional<Column> next();

 private:
  std::string_view left_;
  std::uint16_t count_ = 0;
};

// Whether a RowDescription or a ParameterDescription, as far as it has come, tells a type that is
// not PostgreSQL's own: each server has another OID for that.
bool tells_user_type(char type, std::string_view body);

// Makes a RowDescription, as far as it is whole, say of each column that it is of no table, as it
// does of those that are computed: OIDs of tables are their server's own.
//   cost  O(bytes), no allocation
void forget_tables(std::span<char> body);

struct CopyFormat {          // CopyInResponse, CopyOutResponse, CopyBothResponse
  std::uint8_t overall;      // 0 text, 1 binary
  std::string_view columns;  // 2 bytes each
};
std::optional<CopyFormat> view_copy_format(std::string_view body);

struct Negotiation {         // NegotiateProtocolVersion
  std::uint32_t newest;      // as it came: the minor version, above it the major one or 0
  std::string_view options;  // that the server does not know, each with its NUL
};
std::optional<Negotiation> view_negotiation(std::string_view body);

struct ReportText {
  std::string_view severity;  // ERROR, FATAL; WARNING, NOTICE
  std::string_view sqlstate;  // five characters
  std::string_view message;
  std::string_view detail = {};
  std::string_view hint = {};
};
void append_error(std::string& out, const ReportText& report);
void append_notice(std::string& out, const ReportText& report);
void append_setting(std::string& out, std::string_view name, std::string_view value);
void append_ready(std::string& out, Transaction status);
void append_backend_key(std::string& out, std::uint32_t pid, std::string_view key);
void append_authentication_ok(std::string& out);
void append_authentication_cleartext(std::string& out);
void append_authentication_md5(std::string& out, std::array<char, 4> salt);
void append_authentication_sasl(std::string& out, std::span<const std::string_view> mechanisms);
void append_authentication_sasl_continue(std::string& out, std::string_view data);
void append_authentication_sasl_final(std::string& out, std::string_view data);
// ParseComplete, BindComplete, CloseComplete: what stands for a message that was not sent on.
void append_parse_complete(std::string& out);
void append_bind_complete(std::string& out);
void append_close_complete(std::string& out);

}  // namespace crossfade::postgres
