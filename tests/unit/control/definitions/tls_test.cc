// "tls" of endpoints and interlays: what is read, what is refused, what is shown.
#include "control/definitions/tls.h"

#include <doctest/doctest.h>

#include <string>

#include "../json_literal.h"
#include "control/json/write.h"

using namespace crossfade;

namespace {

ServerTls server_tls(const std::string& text, const ServerTls& current = {},
                     Negotiation negotiation = Negotiation::None) {
  auto read = read_server_tls(json(text), "tls", current, negotiation);
  REQUIRE(read.ok());
  return std::move(*read);
}

std::string server_refusal(const std::string& text, Negotiation negotiation = Negotiation::None) {
  const auto read = read_server_tls(json(text), "tls", {}, negotiation);
  return read.ok() ? "" : read.error().reason;
}

PortTls port_tls(const std::string& text, const PortTls& current = {}) {
  auto read = read_port_tls(json(text), "tls", current);
  REQUIRE(read.ok());
  return std::move(*read);
}

std::string port_refusal(const std::string& text) {
  const auto read = read_port_tls(json(text), "tls", {});
  return read.ok() ? "" : read.error().reason;
}

// Split, so that nobody takes it for a key that was left here.
const std::string kKeyText = std::string("-----BEGIN ") + "PRIVATE KEY-----";

}  // namespace

TEST_CASE("endpoint tls: what says nothing of verifying verifies everything") {
  CHECK_FALSE(server_tls("false"));
  CHECK_FALSE(server_tls("null"));
  CHECK_FALSE(server_tls(R"({"mode":"disable","ca_cert":"x"})"));
  for (const char* text : {"true", "{}", R"({"ca_cert":"x"})", R"({"insecure":false})"}) {
    CAPTURE(text);
    CHECK(server_tls(text).settings.mode == TlsMode::VerifyFull);
    CHECK(server_tls(text).end != nullptr);
  }
  CHECK(server_tls(R"({"insecure":true})").settings.mode == TlsMode::Require);
  CHECK(server_tls(R"({"mode":"verify-ca"})").settings.mode == TlsMode::VerifyCa);
  CHECK(server_tls(R"({"mode":"prefer"})", {}, Negotiation::Offered).settings.mode ==
        TlsMode::Prefer);
}

TEST_CASE("endpoint tls: contradictions and halves are refused with their place") {
  CHECK(server_refusal("1") == "tls: must be true, false or an object, is a number");
  CHECK(server_refusal(R"({"mode":"allow"})").find("tls.mode: must be disable, prefer") == 0);
  CHECK(server_refusal(R"({"mode":"prefer"})").find("tls.mode: prefer needs a protocol") == 0);
  CHECK(server_refusal(R"({"cert":"x"})") == "tls.key: is required with its certificate");
  CHECK(server_refusal(R"({"key":"x"})") == "tls.cert: is required with its key");
  CHECK(server_refusal(R"({"insecure":true,"ca_cert":"x"})").find("tls.insecure: contra") == 0);
  CHECK(server_refusal(R"({"insecure":true,"mode":"verify-ca"})").find("tls.insecure: ") == 0);
  CHECK(server_refusal(R"({"insecure":false,"mode":"require"})").find("tls.insecure: ") == 0);
  CHECK(server_refusal(R"({"domain":"two words"})").find("tls.domain: must be") == 0);
  CHECK(server_refusal(R"({"server_cert":"x"})") == "tls.server_cert: is not a known field");
}

TEST_CASE("endpoint tls: an object changes what it names, and what was shown can be given back") {
  const ServerTls first = server_tls(R"({"ca_cert":"ca","cert":"c","key":")" + kKeyText + "\"}");
  const std::string shown = to_text(render(first, Secrets::Hidden));
  CHECK(shown.find("BEGIN") == std::string::npos);
  CHECK(shown.find(R"("key":"***")") != std::string::npos);
  const ServerTls again = server_tls(shown, first);
  CHECK(again == first);
  CHECK(again.end == first.end);  // nothing to load anew
  CHECK(server_tls(to_text(render(first, Secrets::Shown))) == first);
  CHECK(server_tls("true", first) == first);
  const ServerTls patched = server_tls(R"({"ca_cert":null,"insecure":true})", first);
  CHECK(patched.settings.mode == TlsMode::Require);
  CHECK(patched.settings.cert == "c");
  CHECK(patched.end != first.end);
  CHECK(server_tls(R"({"insecure":false})", patched).settings.mode == TlsMode::VerifyFull);
}

TEST_CASE("interlay tls: a CA for clients requires their certificates, unless it is said not to") {
  CHECK_FALSE(port_tls("null"));
  CHECK_FALSE(port_tls("false"));
  const PortTls port = port_tls(R"({"server_cert":"c","server_key":"k"})");
  CHECK_FALSE(port.settings.require_client_certificate);
  const PortTls mutual = port_tls(R"({"client_ca_cert":"ca"})", port);
  CHECK(mutual.settings.server_cert == "c");
  CHECK(mutual.settings.require_client_certificate);
  const PortTls lax = port_tls(R"({"require_client_certificate":false})", mutual);
  CHECK_FALSE(lax.settings.require_client_certificate);
  CHECK_FALSE(port_tls(R"({"client_ca_cert":null})", mutual).settings.require_client_certificate);
  CHECK(port_tls(to_text(render(mutual, Secrets::Shown))) == mutual);
}

TEST_CASE("interlay tls: halves are refused with their place") {
  CHECK(port_refusal("true").find("tls: must be false, or an object") == 0);
  CHECK(port_refusal("{}") == "tls.server_cert: is required");
  CHECK(port_refusal(R"({"server_cert":"c"})") ==
        "tls.server_key: is required with its certificate");
  CHECK(port_refusal(R"({"server_cert":"c","server_key":"k","require_client_certificate":true})") ==
        "tls.client_ca_cert: is required with require_client_certificate");
  CHECK(port_refusal(R"({"server_cert":"c","server_key":"k","ca_cert":"x"})") ==
        "tls.ca_cert: is not a known field");
}

TEST_CASE("tls: a file that can not be read is named with the place of the setting") {
  const Status loaded = load_tls(server_tls(R"({"ca_cert":"/nowhere/ca.pem"})"), "config.tls");
  REQUIRE_FALSE(loaded.ok());
  CHECK(loaded.error().reason ==
        "config.tls.ca_cert: can not read /nowhere/ca.pem: No such file or directory");
  CHECK(load_tls(ServerTls{}, "config.tls").ok());
}
