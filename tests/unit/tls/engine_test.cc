// TLS in memory: two engines joined by strings.
#include "tls/engine.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/unit/tls/authority.h"

using namespace crossfade;
using test::Authority;
using test::Issued;

namespace {

const Authority& authority() {
  static const Authority made("authority of the tests");
  return made;
}

const Issued& localhost() {
  static const Issued issued = authority().issue("DNS:localhost,IP:127.0.0.1");
  return issued;
}

std::shared_ptr<TlsServer> server_of(TlsServerSettings settings) {
  auto server = std::make_shared<TlsServer>(std::move(settings));
  REQUIRE(server->load());
  return server;
}

std::shared_ptr<TlsServer> plain_server() {
  return server_of({.server_cert = localhost().cert, .server_key = localhost().key});
}

std::shared_ptr<TlsClient> client_of(TlsClientSettings settings) {
  auto client = std::make_shared<TlsClient>(std::move(settings));
  REQUIRE(client->load());
  return client;
}

std::shared_ptr<TlsClient> verifying_client() {
  return client_of({.mode = TlsMode::VerifyFull, .ca_cert = authority().cert()});
}

// One end, and what it has read and sent so far.
struct End {
  TlsEngine engine;
  std::string wire = {};   // sent by it, not yet taken by the other
  std::string plain = {};  // read by it
  TlsEngine::Step step = TlsEngine::Step::Going;
  TlsEngine::After after = TlsEngine::After::More;

  End(TlsHandle handle, TlsEngine::Role role) : engine(std::move(handle), role) {}

  void take(std::string_view bytes) {
    engine.take(bytes);
    if (step == TlsEngine::Step::Going) step = engine.handshake(wire);
    if (step != TlsEngine::Step::Done) return;
    std::vector<char> room(bytes.size() + kTlsRecordRoom);
    const TlsEngine::Read read = engine.read(room, wire);
    plain.append(room.data(), read.size);
    after = read.after;
  }
};

struct Pair {
  End client;
  End server;

  // Carries bytes both ways, at most `piece` at a time, until nothing moves.
  void run(std::size_t piece = SIZE_MAX) {
    if (client.step == TlsEngine::Step::Going) client.take({});
    while (carry(client, server, piece) || carry(server, client, piece)) {
    }
  }
  static bool carry(End& from, End& to, std::size_t piece) {
    const std::string bytes = from.wire.substr(0, piece);
    from.wire.erase(0, bytes.size());
    if (!bytes.empty()) to.take(bytes);
    return !bytes.empty();
  }
  bool done() const {
    return client.step == TlsEngine::Step::Done && server.step == TlsEngine::Step::Done;
  }
};

Pair pair_of(TlsClient& client, TlsServer& server, const std::string& host = "localhost",
             const char* client_alpn = "", const char* server_alpn = "") {
  auto client_handle = client.begin(host, client_alpn);
  auto server_handle = server.begin(server_alpn);
  REQUIRE(client_handle);
  REQUIRE(server_handle);
  return {End(std::move(*client_handle), TlsEngine::Role::Client),
          End(std::move(*server_handle), TlsEngine::Role::Server)};
}

// Why the client does not believe a server of that certificate; empty when it does.
std::string refusal(TlsClientSettings settings, const Issued& issued, const std::string& host) {
  const auto client = client_of(std::move(settings));
  const auto server = server_of({.server_cert = issued.cert, .server_key = issued.key});
  Pair pair = pair_of(*client, *server, host);
  pair.run();
  return pair.client.step == TlsEngine::Step::Done ? "" : pair.client.engine.why();
}

bool contains(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("tls engine: both ends read what the other wrote, however the wire is cut") {
  const auto client = verifying_client();
  const auto server = plain_server();
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}, SIZE_MAX}) {
    Pair pair = pair_of(*client, *server);
    pair.run(piece);
    REQUIRE(pair.done());
    const std::string big(100'000, 'x');
    CHECK(pair.client.engine.write("question", pair.client.wire));
    CHECK(pair.client.engine.write(big, pair.client.wire));
    CHECK(pair.server.engine.write("answer", pair.server.wire));
    pair.run(piece);
    CHECK(pair.server.plain == "question" + big);
    CHECK(pair.client.plain == "answer");
    CHECK(pair.client.after == TlsEngine::After::More);
  }
}

TEST_CASE("tls engine: who has said that nothing more comes still reads") {
  const auto client = verifying_client();
  const auto server = plain_server();
  Pair pair = pair_of(*client, *server);
  pair.run();
  CHECK(pair.client.engine.write("last words", pair.client.wire));
  pair.client.engine.close_notify(pair.client.wire);
  pair.client.engine.close_notify(pair.client.wire);
  pair.run();
  CHECK(pair.server.plain == "last words");
  CHECK(pair.server.after == TlsEngine::After::Closed);
  CHECK(pair.server.engine.write("an answer all the same", pair.server.wire));
  pair.run();
  CHECK(pair.client.plain == "an answer all the same");
  CHECK_FALSE(pair.client.engine.write("more", pair.client.wire));
}

TEST_CASE("tls engine: bytes that are no TLS end the handshake with words and an alert") {
  const auto server = plain_server();
  for (const char* bytes : {"*1\r\n$4\r\nPING\r\n", "GET / HTTP/1.1\r\n\r\n"}) {
    End end(std::move(*server->begin()), TlsEngine::Role::Server);
    end.take(bytes);
    CHECK(end.step == TlsEngine::Step::Failed);
    CHECK_FALSE(end.engine.why().empty());
  }
}

TEST_CASE("tls engine: a record that was changed on its way ends the connection") {
  const auto client = verifying_client();
  const auto server = plain_server();
  Pair pair = pair_of(*client, *server);
  pair.run();
  CHECK(pair.client.engine.write("question", pair.client.wire));
  pair.client.wire.back() = static_cast<char>(pair.client.wire.back() ^ 1);
  pair.run();
  CHECK(pair.server.plain.empty());
  CHECK(pair.server.after == TlsEngine::After::Failed);
}

TEST_CASE("tls engine: a second connection resumes the session of the first, until a reload") {
  const auto client = verifying_client();
  const auto server = plain_server();
  const auto resumed = [&](TlsServer& with) {
    Pair pair = pair_of(*client, with);
    pair.run();
    REQUIRE(pair.done());
    CHECK(pair.client.engine.resumed() == pair.server.engine.resumed());
    return pair.server.engine.resumed();
  };
  CHECK_FALSE(resumed(*server));
  CHECK(resumed(*server));
  CHECK(resumed(*server));
  CHECK(*server->load() == TlsLoad::AsBefore);
  CHECK(resumed(*server));
  CHECK_FALSE(resumed(*plain_server()));  // as after a reload: other keys for tickets
}

TEST_CASE("tls engine: a session with one host is not offered to another") {
  const auto client = client_of({.mode = TlsMode::VerifyFull, .ca_cert = authority().cert()});
  const auto server = plain_server();
  Pair first = pair_of(*client, *server, "localhost");
  first.run();
  REQUIRE(first.done());
  Pair other = pair_of(*client, *server, "127.0.0.1");
  other.run();
  REQUIRE(other.done());
  CHECK_FALSE(other.server.engine.resumed());
}

TEST_CASE("tls modes: each verifies what it promises, and nothing else") {
  const Authority stranger("a stranger");
  const Issued good = localhost();
  const Issued elsewhere = authority().issue("DNS:elsewhere");
  const Issued expired = authority().issue("DNS:localhost", -60);
  const Issued unknown = stranger.issue("DNS:localhost");
  const std::string ca = authority().cert();
  const auto with = [&](TlsMode mode, const std::string& ca_cert) {
    return TlsClientSettings{.mode = mode, .ca_cert = ca_cert};
  };
  CHECK(refusal(with(TlsMode::Require, ""), unknown, "localhost").empty());
  CHECK(refusal(with(TlsMode::Require, ""), expired, "localhost").empty());
  CHECK(contains(refusal(with(TlsMode::Require, ca), unknown, "localhost"), "verify failed"));
  CHECK(refusal(with(TlsMode::Require, ca), elsewhere, "localhost").empty());
  CHECK(refusal(with(TlsMode::VerifyCa, ca), elsewhere, "localhost").empty());
  CHECK(contains(refusal(with(TlsMode::VerifyCa, ca), expired, "localhost"), "expired"));
  CHECK(contains(refusal(with(TlsMode::VerifyCa, ca), unknown, "localhost"), "verify failed"));
  CHECK(contains(refusal(with(TlsMode::VerifyFull, ca), elsewhere, "localhost"), "mismatch"));
  CHECK(contains(refusal(with(TlsMode::VerifyFull, ca), elsewhere, "127.0.0.1"), "mismatch"));
  CHECK(refusal(with(TlsMode::VerifyFull, ca), good, "localhost").empty());
  CHECK(refusal(with(TlsMode::VerifyFull, ca), good, "127.0.0.1").empty());
  CHECK(contains(refusal(with(TlsMode::VerifyFull, ""), good, "localhost"), "verify failed"));
  TlsClientSettings renamed = with(TlsMode::VerifyFull, ca);
  renamed.domain = "elsewhere";
  CHECK(refusal(renamed, elsewhere, "localhost").empty());
}

TEST_CASE("tls engine: a port that requires certificates takes those of its CA only") {
  const Authority clients("clients");
  const auto server = server_of({.server_cert = localhost().cert,
                                 .server_key = localhost().key,
                                 .client_ca_cert = clients.cert(),
                                 .require_client_certificate = true});
  const auto accepted = [&](const Issued& own) {
    const auto client = client_of({.mode = TlsMode::VerifyFull,
                                   .ca_cert = authority().cert(),
                                   .cert = own.cert,
                                   .key = own.key});
    Pair pair = pair_of(*client, *server);
    pair.run();
    return pair.server.step == TlsEngine::Step::Done;
  };
  CHECK(accepted(clients.issue("DNS:somebody")));
  CHECK_FALSE(accepted(authority().issue("DNS:somebody")));
  CHECK_FALSE(accepted({}));
}

TEST_CASE("tls engine: a protocol that is named by both is agreed on; another ends the handshake") {
  const auto client = verifying_client();
  const auto server = plain_server();
  Pair agreed = pair_of(*client, *server, "localhost", "postgresql", "postgresql");
  agreed.run();
  CHECK(agreed.done());
  CHECK(agreed.server.engine.alpn() == "postgresql");
  CHECK(agreed.client.engine.alpn() == "postgresql");
  Pair other = pair_of(*client, *server, "localhost", "h2", "postgresql");
  other.run();
  CHECK(other.server.step == TlsEngine::Step::Failed);
  Pair unasked = pair_of(*client, *server, "localhost", "h2", "");
  unasked.run();
  CHECK(unasked.done());
  CHECK(unasked.server.engine.alpn().empty());
}

TEST_CASE("tls engine: both ends know the same end point") {
  const auto client = verifying_client();
  const auto server = plain_server();
  Pair pair = pair_of(*client, *server);
  pair.run();
  CHECK(pair.client.engine.end_point().size() == 32);
  CHECK(pair.client.engine.end_point() == pair.server.engine.end_point());
}
