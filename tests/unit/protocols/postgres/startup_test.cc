// Start-up packets: good bytes, prefixes, limits; refusals in the server's words.
#include "protocols/postgres/startup.h"

#include <doctest/doctest.h>

#include "protocols/postgres/backend.h"
#include "tests/unit/protocols/postgres/bytes.h"

namespace crossfade::postgres {
namespace {

std::string packet(std::uint32_t code, std::string_view fields = {}) {
  std::string bytes;
  MessageBuilder(bytes).u32(code).bytes(fields);
  return bytes;
}
Opening open(const std::string& bytes, Wire wire = Wire::Plain) {
  // Views point into `bytes`, which the caller keeps.
  return read_opening(bytes, wire);
}
template <class Kind>
bool is(const std::string& bytes, Wire wire = Wire::Plain) {
  return std::holds_alternative<Kind>(open(bytes, wire).kind);
}

constexpr std::uint32_t kV3 = 3u << 16;
const std::string kParameters = raw("user\0ann\0database\0shop\0");

TEST_CASE("startup: parameters are handed over as they came, at any minor version") {
  for (const std::uint32_t minor : {0u, 1u, 2u, 3u, 9999u, 0xffffu}) {
    const std::string bytes = packet(kV3 + minor, kParameters + '\0');
    const Opening opening = open(bytes);
    const auto& start_up = std::get<StartUp>(opening.kind);
    CHECK(start_up.version == Version{3, static_cast<std::uint16_t>(minor)});
    CHECK(start_up.parameters == kParameters);
    CHECK(opening.size == bytes.size());
    std::string again;
    append_start_up(again, start_up.version, start_up.parameters);
    CHECK(again == bytes);
  }
}

TEST_CASE("startup: every prefix asks for what is missing, or less") {
  std::string cancel;
  append_cancel_request(cancel, 7, "1234");
  for (const std::string& bytes : {packet(kV3, kParameters + '\0'), cancel}) {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const std::string prefix = bytes.substr(0, size);
      const Opening opening = open(prefix);
      const auto* more = std::get_if<NeedMore>(&opening.kind);
      REQUIRE(more != nullptr);
      CHECK(more->at_least > 0);
      CHECK(more->at_least <= bytes.size() - size);
      CHECK(opening.size == 0);
    }
    CHECK(open(bytes + "more").size == bytes.size());
  }
}

TEST_CASE("startup: requests are known by their codes") {
  CHECK(is<SslRequest>(raw("\0\0\0\x08\x04\xd2\x16\x2f")));
  CHECK(is<GssEncRequest>(raw("\0\0\0\x08\x04\xd2\x16\x30")));
  CHECK(is<SslRequest>(packet(80877103, "longer than it need be")));
  std::string built;
  append_ssl_request(built);
  CHECK(built == raw("\0\0\0\x08\x04\xd2\x16\x2f"));
}

TEST_CASE("startup: a wish for encryption is answered by one byte, or by an old error") {
  CHECK(view_encryption_answer('S') == EncryptionAnswer::Tls);
  CHECK(view_encryption_answer('G') == EncryptionAnswer::Gss);
  CHECK(view_encryption_answer('N') == EncryptionAnswer::Refused);
  CHECK_FALSE(view_encryption_answer('E'));
  CHECK_FALSE(view_encryption_answer('\0'));
}

TEST_CASE("startup: a cancel request has a key of 1 to 256 bytes") {
  for (const std::size_t size : {1u, 4u, 32u, 256u}) {
    std::string bytes;
    append_cancel_request(bytes, 0x01020304, std::string(size, 'k'));
    const Opening opening = open(bytes);
    const auto& cancel = std::get<CancelRequest>(opening.kind);
    CHECK(cancel.pid == 0x01020304);
    CHECK(cancel.key == std::string(size, 'k'));
    CHECK(opening.size == bytes.size());
  }
  CHECK(is<Broken>(packet(80877102)));
  CHECK(is<Broken>(packet(80877102, "pid!")));
  CHECK(is<Broken>(packet(80877102, "pid!" + std::string(257, 'k'))));
}

TEST_CASE("startup: TLS at once is known by its first byte, but not inside of TLS") {
  CHECK(is<DirectTls>("\x16"));
  CHECK(is<DirectTls>("\x16\x03\x01\x02"));
  CHECK(is<NeedMore>("\x16", Wire::Tls));
  CHECK(is<Broken>("\x16\x03\x01\x02", Wire::Tls));
}

TEST_CASE("startup: limits hold at the limit and break one beyond it") {
  const auto with_length = [](std::uint32_t length) {
    return header('?', length).substr(1) + std::string(4, '\0');
  };
  CHECK(is<NeedMore>(with_length(kStartUpMax + 4)));
  CHECK(is<Broken>(with_length(kStartUpMax + 5)));
  CHECK(is<Broken>(with_length(0)));
  CHECK(is<Broken>(with_length(7)));
  CHECK(is<Broken>(with_length(0xffffffff)));
  CHECK(is<Broken>("GET / HTTP/1.1\r\n"));
  const std::string most =
      packet(kV3, "user" + std::string(kStartUpMax - 4 - 6, 'x') + raw("\0\0"));
  CHECK(is<BadLayout>(most));
  const std::string full =
      packet(kV3, raw("user\0") + std::string(kStartUpMax - 4 - 7, 'x') + raw("\0\0"));
  CHECK(full.size() == kStartUpMax + 4);
  CHECK(is<StartUp>(full));
}

TEST_CASE("startup: other major versions are refused, below 3 in the form of protocol 2") {
  const std::string two = packet(2u << 16, std::string(288, '\0'));
  const auto opening = open(two);
  CHECK(std::get<UnsupportedVersion>(opening.kind).version == Version{2, 0});
  std::string refusal;
  append_unsupported(refusal, {2, 0});
  CHECK(refusal ==
        raw("EFATAL:  unsupported frontend protocol 2.0: server supports 3.0 to 3.2\n\0"));
  CHECK(is<UnsupportedVersion>(packet(4u << 16, kParameters + '\0')));
  refusal.clear();
  append_unsupported(refusal, {4, 1});
  const auto report = view_report(std::string_view(refusal).substr(kHeaderSize));
  REQUIRE(report);
  CHECK(report->sqlstate == "0A000");
  CHECK(report->severity == "FATAL");
  CHECK(report->message == "unsupported frontend protocol 4.1: server supports 3.0 to 3.2");
}

TEST_CASE("startup: parameters end where the packet ends, or the layout is refused") {
  CHECK(is<StartUp>(packet(kV3, raw("\0"))));
  CHECK(is<StartUp>(packet(kV3, raw("user\0\0\0"))));  // an empty value
  CHECK(is<BadLayout>(packet(kV3)));
  CHECK(is<BadLayout>(packet(kV3, kParameters)));
  CHECK(is<BadLayout>(packet(kV3, "user")));
  CHECK(is<BadLayout>(packet(kV3, raw("user\0\0"))));
  CHECK(is<BadLayout>(packet(kV3, kParameters + raw("\0\0"))));
  CHECK(is<BadLayout>(packet(kV3, kParameters + raw("\0x"))));
  CHECK(is<BadLayout>(packet(kV3, raw("user\0ann"))));
}

TEST_CASE("startup: parameters are found by name, the last of several") {
  std::string parameters = kParameters;
  append_parameter(parameters, "user", "bob");
  append_parameter(parameters, "_pq_.wish", "1");
  CHECK(find_parameter(parameters, "user") == "bob");
  CHECK(find_parameter(parameters, "database") == "shop");
  CHECK_FALSE(find_parameter(parameters, "options"));
  std::string_view left = parameters;
  std::vector<std::string> options;
  while (const auto parameter = next_parameter(left)) {
    if (is_protocol_option(parameter->name)) options.emplace_back(parameter->name);
  }
  CHECK(options == std::vector<std::string>{"_pq_.wish"});
}

TEST_CASE("startup: replication is wanted by whatever is not false") {
  for (const char* value : {"database", "true", "t", "on", "1", "yes", "nonsense"}) {
    std::string parameters;
    append_parameter(parameters, "replication", value);
    CHECK_MESSAGE(wants_replication(parameters), value);
  }
  for (const char* value : {"false", "f", "off", "of", "OFF", "0", "no", "n", "FaLsE"}) {
    std::string parameters;
    append_parameter(parameters, "replication", value);
    CHECK_MESSAGE(!wants_replication(parameters), value);
  }
  CHECK_FALSE(wants_replication(kParameters));
}

TEST_CASE("startup: a negotiated version names what nobody knows, as the server does") {
  std::string bytes;
  const std::string_view options[] = {"_pq_.foo", "_pq_.x"};
  append_negotiate_version(bytes, {3, 0}, options);
  CHECK(bytes == raw("v\0\0\0\x1c\0\3\0\0\0\0\0\2_pq_.foo\0_pq_.x\0"));
  const auto negotiation = view_negotiation(std::string_view(bytes).substr(kHeaderSize));
  REQUIRE(negotiation);
  CHECK(negotiation->newest == 0x30000);
  CHECK(negotiation->options == raw("_pq_.foo\0_pq_.x\0"));
}

}  // namespace
}  // namespace crossfade::postgres
