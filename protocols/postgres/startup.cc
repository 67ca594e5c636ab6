// Lengths and layouts are refused where ProcessStartupPacket() refuses them, and only there: an
// SSLRequest may be longer than it need be, a parameter may come twice.
#include "protocols/postgres/startup.h"

#include "protocols/postgres/backend.h"
#include "protocols/postgres/builder.h"
#include "protocols/postgres/fields.h"
#include "protocols/postgres/types.h"

namespace crossfade::postgres {
namespace {

constexpr std::uint32_t kCancelCode = 1234u << 16 | 5678;
constexpr std::uint32_t kSslCode = 1234u << 16 | 5679;
constexpr std::uint32_t kGssEncCode = 1234u << 16 | 5680;
constexpr char kTlsHandshake = 0x16;  // as a length it would be beyond every limit

OpeningKind read_cancel(std::string_view fields) {
  Fields reader(fields);
  const std::uint32_t pid = reader.u32();
  const std::string_view key = reader.rest();
  if (!reader.ok() || key.size() < kCancelKeyMin || key.size() > kCancelKeyMax) {
    return Broken{"invalid length of a cancel request"};
  }
  return CancelRequest{pid, key};
}

OpeningKind read_start_up(Version version, std::string_view fields) {
  if (version.major != kMajor) return UnsupportedVersion{version};
  std::string_view left = fields;
  while (next_parameter(left)) {
  }
  if (left != std::string_view("\0", 1)) return BadLayout{};
  return StartUp{version, fields.substr(0, fields.size() - 1)};
}

OpeningKind read_packet(std::string_view body) {
  const std::uint32_t code = read_u32(body.data());
  const std::string_view fields = body.substr(4);
  if (code == kCancelCode) return read_cancel(fields);
  if (code == kSslCode) return SslRequest{};
  if (code == kGssEncCode) return GssEncRequest{};
  const Version version{static_cast<std::uint16_t>(code >> 16),
                        static_cast<std::uint16_t>(code & 0xffff)};
  return read_start_up(version, fields);
}

bool is_false(std::string_view value) {  // as parse_bool(): any case, any beginning that is enough
  std::string lower(value.substr(0, 6));
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  if (lower == "0" || lower == "of" || lower == "off") return true;
  const auto begins = [&lower](std::string_view word) {
    return !lower.empty() && word.starts_with(lower);
  };
  return begins("false") || begins("no");
}

}  // namespace

Opening read_opening(std::string_view bytes, Wire wire) {
  if (bytes.empty()) return {NeedMore{8}};
  if (wire == Wire::Plain && bytes[0] == kTlsHandshake) return {DirectTls{}};
  if (bytes.size() < 4) return {NeedMore{8 - bytes.size()}};
  const std::uint32_t length = read_u32(bytes.data());
  if (length < 8 || length - 4 > kStartUpMax) return {Broken{"invalid length of startup packet"}};
  if (bytes.size() < length) return {NeedMore{length - bytes.size()}};
  Opening opening{read_packet(bytes.substr(4, length - 4)), length};
  if (std::holds_alternative<Broken>(opening.kind)) opening.size = 0;
  return opening;
}

std::optional<EncryptionAnswer> view_encryption_answer(char byte) {
  const auto answer = static_cast<EncryptionAnswer>(byte);
  switch (answer) {
    case EncryptionAnswer::Tls:
    case EncryptionAnswer::Gss:
    case EncryptionAnswer::Refused:
      return answer;
  }
  return std::nullopt;
}

std::optional<Parameter> next_parameter(std::string_view& parameters) {
  Fields fields(parameters);
  const Parameter parameter{fields.text(), fields.text()};
  if (!fields.ok() || parameter.name.empty()) return std::nullopt;
  parameters = fields.rest();
  return parameter;
}

std::optional<std::string_view> find_parameter(std::string_view parameters, std::string_view name) {
  std::optional<std::string_view> value;
  while (const auto parameter = next_parameter(parameters)) {
    if (parameter->name == name) value = parameter->value;
  }
  return value;
}

bool is_protocol_option(std::string_view name) { return name.starts_with("_pq_."); }

bool wants_replication(std::string_view parameters) {
  const auto value = find_parameter(parameters, "replication");
  return value && !is_false(*value);
}

void append_ssl_request(std::string& out) { MessageBuilder(out).u32(kSslCode); }

void append_cancel_request(std::string& out, std::uint32_t pid, std::string_view key) {
  MessageBuilder(out).u32(kCancelCode).u32(pid).bytes(key);
}

void append_start_up(std::string& out, Version version, std::string_view parameters) {
  MessageBuilder(out).u32(version.word()).bytes(parameters).byte('\0');
}

void append_parameter(std::string& parameters, std::string_view name, std::string_view value) {
  parameters.append(name).push_back('\0');
  parameters.append(value).push_back('\0');
}

void append_negotiate_version(std::string& out, Version newest,
                              std::span<const std::string_view> unknown_options) {
  MessageBuilder message(out, from_server::kNegotiateProtocolVersion);
  message.u32(newest.word()).u32(static_cast<std::uint32_t>(unknown_options.size()));
  for (const std::string_view option : unknown_options) message.text(option);
}

void append_unsupported(std::string& out, Version version) {
  std::string reason = "unsupported frontend protocol ";
  reason.append(std::to_string(version.major)).append(".").append(std::to_string(version.minor));
  reason.append(": server supports 3.0 to 3.").append(std::to_string(kMinorMax));
  if (version.major >= kMajor) {
    append_error(out, {"FATAL", "0A000", reason});
  } else {
    out.append("EFATAL:  ").append(reason).append("\n").push_back('\0');
  }
}

}  // namespace crossfade::postgres
