// Views of and builders for the messages of servers.
#include "protocols/postgres/backend.h"

#include <algorithm>

#include "protocols/postgres/builder.h"
#include "protocols/postgres/fields.h"

namespace crossfade::postgres {
namespace {

void append_report(std::string& out, char type, const ReportText& report) {
  MessageBuilder message(out, type);
  const auto field = [&message](char code, std::string_view text) {
    if (!text.empty()) message.byte(code).text(text);
  };
  field('S', report.severity);
  field('V', report.severity);
  field('C', report.sqlstate);
  field('M', report.message);
  field('D', report.detail);
  field('H', report.hint);
  message.byte('\0');
}

void append_authentication(std::string& out, Auth kind, std::string_view data) {
  MessageBuilder(out, from_server::kAuthentication)
      .u32(static_cast<std::uint32_t>(kind))
      .bytes(data);
}

}  // namespace

std::optional<Authentication> view_authentication(std::string_view body) {
  Fields fields(body);
  const Authentication authentication{static_cast<Auth>(fields.u32()), fields.rest()};
  if (!fields.ok()) return std::nullopt;
  if (authentication.kind == Auth::Md5 && authentication.data.size() != 4) return std::nullopt;
  return authentication;
}

std::optional<std::string_view> next_mechanism(std::string_view& mechanisms) {
  Fields fields(mechanisms);
  const std::string_view mechanism = fields.text();
  if (!fields.ok() || mechanism.empty()) return std::nullopt;
  mechanisms = fields.rest();
  return mechanism;
}

std::optional<BackendKey> view_backend_key(std::string_view body) {
  Fields fields(body);
  const BackendKey key{fields.u32(), fields.rest()};
  if (!fields.ok() || key.key.size() < kBackendKeyMin || key.key.size() > kBackendKeyMax) {
    return std::nullopt;
  }
  return key;
}

std::optional<Transaction> view_ready(std::string_view body) {
  if (body == "I") return Transaction::Idle;
  if (body == "T") return Transaction::Open;
  if (body == "E") return Transaction::Failed;
  return std::nullopt;
}

std::optional<Report> view_report(std::string_view body) {
  Report report;
  std::string_view translated;
  Fields fields(body);
  for (char code = fields.byte(); code != '\0'; code = fields.byte()) {
    const std::string_view text = fields.text();
    if (code == 'V') report.severity = text;
    if (code == 'S') translated = text;
    if (code == 'C') report.sqlstate = text;
    if (code == 'M') report.message = text;
    if (code == 'D') report.detail = text;
    if (code == 'H') report.hint = text;
  }
  if (!fields.done()) return std::nullopt;
  if (report.severity.empty()) report.severity = translated;
  return report;
}

bool ends_connection(std::string_view body) {
  std::string_view severity;
  Fields fields(body);
  for (char code = fields.byte(); code == 'S' || code == 'V'; code = fields.byte()) {
    severity = fields.text();  // both come first, the untranslated one behind the other
  }
  return severity == "FATAL" || severity == "PANIC";
}

std::optional<Setting> view_setting(std::string_view body) {
  Fields fields(body);
  const Setting setting{fields.text(), fields.text()};
  if (!fields.done()) return std::nullopt;
  return setting;
}

std::optional<std::string_view> view_command_tag(std::string_view body) {
  Fields fields(body);
  const std::string_view tag = fields.text();
  if (!fields.done()) return std::nullopt;
  return tag;
}

std::optional<Notification> view_notification(std::string_view body) {
  Fields fields(body);
  const Notification notification{fields.u32(), fields.text(), fields.text()};
  if (!fields.done()) return std::nullopt;
  return notification;
}

Columns::Columns(std::string_view body) {
  Fields fields(body);
  count_ = fields.u16();
  left_ = fields.rest();
}

std::optional<Column> Columns::next() {
  Fields fields(left_);
  Column column{fields.text(), 0, 0, 0};
  fields.bytes(6);  // the table's OID and the number of the column in it
  column.type = fields.u32();
  fields.bytes(2);  // the type's size
  column.modifier = fields.u32();
  column.format = fields.u16();
  if (!fields.ok()) return std::nullopt;
  left_ = fields.rest();
  return column;
}

bool tells_user_type(char type, std::string_view body) {
  if (type == from_server::kRowDescription) {
    Columns columns(body);
    while (const auto column = columns.next()) {
      if (column->type >= kFirstUserOid) return true;
    }
  } else if (type == from_server::kParameterDescription) {
    Fields fields(body);
    for (std::uint16_t left = fields.u16(); left > 0 && fields.ok(); --left) {
      if (fields.u32() >= kFirstUserOid) return true;
    }
  }
  return false;
}

void forget_tables(std::span<char> body) {
  constexpr std::size_t kTable = 6;    // its OID, and the number of the column there
  constexpr std::size_t kBehind = 18;  // the name: that, and the type
  const std::string_view bytes(body.data(), body.size());
  for (std::size_t at = 2; at < bytes.size();) {
    const std::size_t name_end = bytes.find('\0', at);
    if (name_end == std::string_view::npos || bytes.size() - name_end <= kBehind) return;
    std::ranges::fill(body.subspan(name_end + 1, kTable), '\0');
    at = name_end + 1 + kBehind;
  }
}

std::optional<CopyFormat> view_copy_format(std::string_view body) {
  Fields fields(body);
  CopyFormat format{static_cast<std::uint8_t>(fields.byte()), {}};
  format.columns = fields.bytes(std::size_t{2} * fields.u16());
  if (!fields.done()) return std::nullopt;
  return format;
}

std::optional<Negotiation> view_negotiation(std::string_view body) {
  Fields fields(body);
  Negotiation negotiation{fields.u32(), {}};
  const std::uint32_t count = fields.u32();
  if (!fields.ok()) return std::nullopt;
  negotiation.options = fields.rest();
  Fields options(negotiation.options);
  for (std::uint32_t i = 0; i < count && options.ok(); ++i) options.text();
  if (!options.done()) return std::nullopt;
  return negotiation;
}

void append_error(std::string& out, const ReportText& report) {
  append_report(out, from_server::kErrorResponse, report);
}

void append_notice(std::string& out, const ReportText& report) {
  append_report(out, from_server::kNoticeResponse, report);
}

void append_setting(std::string& out, std::string_view name, std::string_view value) {
  MessageBuilder(out, from_server::kParameterStatus).text(name).text(value);
}

void append_ready(std::string& out, Transaction status) {
  MessageBuilder(out, from_server::kReadyForQuery).byte(static_cast<char>(status));
}

void append_backend_key(std::string& out, std::uint32_t pid, std::string_view key) {
  MessageBuilder(out, from_server::kBackendKeyData).u32(pid).bytes(key);
}

void append_authentication_ok(std::string& out) { append_authentication(out, Auth::Ok, {}); }

void append_authentication_cleartext(std::string& out) {
  append_authentication(out, Auth::Cleartext, {});
}

void append_authentication_md5(std::string& out, std::array<char, 4> salt) {
  append_authentication(out, Auth::Md5, {salt.data(), salt.size()});
}

void append_authentication_sasl(std::string& out, std::span<const std::string_view> mechanisms) {
  MessageBuilder message(out, from_server::kAuthentication);
  message.u32(static_cast<std::uint32_t>(Auth::Sasl));
  for (const std::string_view mechanism : mechanisms) message.text(mechanism);
  message.byte('\0');
}

void append_authentication_sasl_continue(std::string& out, std::string_view data) {
  append_authentication(out, Auth::SaslContinue, data);
}

void append_authentication_sasl_final(std::string& out, std::string_view data) {
  append_authentication(out, Auth::SaslFinal, data);
}

void append_parse_complete(std::string& out) { append_empty(out, from_server::kParseComplete); }
void append_bind_complete(std::string& out) { append_empty(out, from_server::kBindComplete); }
void append_close_complete(std::string& out) { append_empty(out, from_server::kCloseComplete); }

}  // namespace crossfade::postgres
