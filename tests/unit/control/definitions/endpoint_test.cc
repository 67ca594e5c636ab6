// Endpoints: every shape the API takes, what is refused with which words, and the store's way there
// and back.
#include "control/definitions/endpoint.h"

#include <doctest/doctest.h>

#include <string>

#include "control/json/write.h"
#include "reading.h"

namespace crossfade {

namespace {

EndpointAddress address_of(std::string_view config) {
  auto spec =
      read_endpoint(json(R"({"id":"e","kind":"redis","config":)" + std::string(config) + "}"), "");
  REQUIRE_MESSAGE(spec.ok(), refusal(spec));
  return spec->address;
}

std::string config_refusal(std::string_view config) {
  return refusal(
      read_endpoint(json(R"({"id":"e","kind":"redis","config":)" + std::string(config) + "}"), ""));
}

}  // namespace

TEST_CASE("endpoint: the three shapes of config say the same") {
  const EndpointAddress expected{
      .id = "e", .host = "db", .port = 7000, .db = 2, .username = "u", .password = "p"};
  CHECK(address_of(R"({"url":"redis://u:p@db:7000/2"})") == expected);
  CHECK(address_of(R"({"host":"db","port":7000,"db":2,"username":"u","password":"p"})") ==
        expected);
  CHECK(
      address_of(
          R"({"host":"db","port":7000,"database":2,"username":"u","password":"p","tls":false})") ==
      expected);
  CHECK(address_of(R"({"write_conn":{"url":"redis://u:p@db:7000/2"}})") == expected);
  CHECK(
      address_of(
          R"({"write_conn":{"host":"db","port":7000,"db":2,"username":"u","password":"p","tls":null}})") ==
      expected);
}

TEST_CASE("endpoint: its id has two names, its kind any case") {
  CHECK(read_endpoint(json(R"({"endpoint":"e","kind":"Redis","config":{"host":"h"}})"), "")->id ==
        "e");
  CHECK(read_endpoint(json(R"({"id":"e","kind":"REDIS","config":{"host":"h"}})"), "")->id == "e");
  CHECK(refusal(read_endpoint(
            json(R"({"id":"e","endpoint":"e","kind":"redis","config":{"host":"h"}})"), "")) ==
        "endpoint: is given beside id: give one of them");
}

TEST_CASE("endpoint: what is wrong is named by its path, also inside of write_conn") {
  CHECK(config_refusal(R"({"port":1})") == "config.host: is required");
  CHECK(config_refusal(R"({"host":"h","port":"6379"})") ==
        "config.port: must be a whole number from 1 to 65535");
  CHECK(config_refusal(R"({"host":"h","port":0})") ==
        "config.port: must be a whole number from 1 to 65535");
  CHECK(config_refusal(R"({"write_conn":{"host":"h","prot":1}})") ==
        "config.write_conn.prot: is not a known field");
  CHECK(config_refusal(R"({"host":"h","username":"u"})") ==
        "config.password: is required with a username");
  CHECK(config_refusal(R"({"url":"redis://h","host":"h"})") == "config.host: is not a known field");
  CHECK(config_refusal(R"({"host":"a b"})") == "config.host: must be a host name or an address");
  CHECK(config_refusal(R"("redis://h")") == "config: must be an object, is a string");
  CHECK(refusal(read_endpoint(json(R"({"id":"e","kind":"redis"})"), "")) == "config: is required");
  CHECK(refusal(read_endpoint(json(R"({"kind":"redis","config":{}})"), "endpoints[3]")) ==
        "endpoints[3].id: is required");
}

TEST_CASE("endpoint: of kind postgres, in every shape, and kept as it is") {
  const auto address_of = [](const char* config) {
    auto spec = read_endpoint(
        json(std::string(R"({"id":"e","kind":"PostgreSQL","config":)") + config + "}"), "");
    REQUIRE(spec.ok());
    return spec->address;
  };
  const EndpointAddress from_url =
      address_of(R"({"url":"postgresql://u:p%40@h:7/d?sslmode=disable"})");
  CHECK(from_url ==
        address_of(
            R"({"host":"h","port":7,"database":"d","username":"u","password":"p@","tls":false})"));
  CHECK(from_url.kind == EndpointKind::Postgres);
  CHECK(address_of(R"({"url":"postgres://h"})").port == 5432);
  // libpq's default, said or not.
  const EndpointAddress silent = address_of(R"({"host":"h"})");
  CHECK(silent.tls.settings.mode == TlsMode::Prefer);
  CHECK(silent == address_of(R"({"url":"postgres://h?sslmode=prefer"})"));
  CHECK(silent == address_of(R"({"url":"postgres://h?sslmode=allow"})"));
  CHECK(silent == address_of(R"({"host":"h","tls":{"mode":"prefer"}})"));
  CHECK(address_of(R"({"url":"postgres://h?sslmode=verify-full&sslrootcert=%2Fca.pem"})") ==
        address_of(R"({"host":"h","tls":{"ca_cert":"/ca.pem"}})"));
  CHECK(address_of(R"({"host":"h","tls":true})").tls.settings.mode == TlsMode::VerifyFull);
  CHECK(address_of(R"({"url":"postgres://h","tls":true})").tls.settings.mode ==
        TlsMode::VerifyFull);
  CHECK(address_of(R"({"host":"h","username":"u"})").password.empty());
  const Endpoint endpoint{
      .identity = make_identity("e", Origin::Api), .address = from_url, .description = ""};
  auto restored = endpoint_from_stored(json(to_text(to_stored(endpoint))));
  REQUIRE(restored.ok());
  CHECK(restored->address == from_url);
  CHECK(to_text(render(endpoint)).find(R"("kind":"postgres")") != std::string::npos);
}

TEST_CASE("endpoint: what a postgres URL may not say is named") {
  const auto refused = [](const char* url) {
    return refusal(read_endpoint(
        json(std::string(R"({"id":"e","kind":"postgres","config":{"url":")") + url + R"("}})"),
        ""));
  };
  CHECK(refused("redis://h") == "config.url: must begin with postgresql://");
  CHECK(refused("postgresql://h,i") == "config.url: must name one host");
  CHECK(refused("postgresql://h?x=1") ==
        "config.url: has a parameter other than sslmode, sslrootcert, sslcert and sslkey");
  CHECK(refused("postgresql://h?sslmode=yes").starts_with("config.url: has an sslmode other than"));
  CHECK(refused("postgresql://h?sslcert=c") == "config.url: names one of sslcert and sslkey only");
  CHECK(refused("postgresql://u:%zz@h") == "config.url: has a broken percent-encoding");
}

TEST_CASE("endpoint: no error quotes a secret") {
  for (const char* config :
       {R"({"host":"h","password":"s3cret","port":0})", R"({"url":"redis://:s3cret@h:x"})",
        R"({"host":"h","password":["s3cret"]})", R"({"write_conn":{"url":"s3cret"}})"}) {
    CHECK(config_refusal(config).find("s3cret") == std::string::npos);
  }
}

TEST_CASE("endpoint: GET shows that there is a secret and not which, the store keeps it") {
  const Endpoint endpoint{
      .identity = make_identity("e", Origin::Api),
      .address = {.id = "e", .host = "h", .port = 1, .username = "u", .password = "s3cret"},
      .description = "d"};
  const std::string shown = to_text(render(endpoint));
  CHECK(shown.find("s3cret") == std::string::npos);
  CHECK(shown.find(R"("password":"***")") != std::string::npos);
  auto restored = endpoint_from_stored(json(to_text(to_stored(endpoint))));
  REQUIRE(restored.ok());
  CHECK(restored->identity == endpoint.identity);
  CHECK(restored->address == endpoint.address);
  CHECK(restored->description == "d");
}

TEST_CASE("endpoint: a PATCH changes what it names; a hidden secret given back stays the secret") {
  const EndpointSpec spec{
      .id = "e",
      .address =
          {.id = "e", .host = "h", .port = 1, .db = 3, .username = "u", .password = "s3cret"},
      .description = "d"};
  auto moved = patch_endpoint(spec, json(R"({"config":{"host":"h2","password":"***"}})"));
  REQUIRE(moved.ok());
  EndpointSpec expected = spec;
  expected.address.host = "h2";
  CHECK(*moved == expected);

  auto by_url = patch_endpoint(spec, json(R"({"config":{"url":"redis://u:***@h3:5"}})"));
  REQUIRE(by_url.ok());
  CHECK(by_url->address.password == "s3cret");
  CHECK(by_url->address.port == 5);
  CHECK(by_url->address.db == 0);  // a URL says everything

  CHECK(patch_endpoint(spec, json(R"({"config":{"username":null,"password":null}})"))
            ->address.password.empty());
  CHECK(patch_endpoint(spec, json(R"({"description":null})"))->description.empty());
  CHECK(*patch_endpoint(spec, json("{}")) == spec);
  CHECK(refusal(patch_endpoint(spec, json(R"({"id":"other"})"))) == "id: can not be changed");
}

TEST_CASE(
    "endpoint: a shard stands beside each shape of config, and is kept until it is taken away") {
  const auto shard_of = [](const std::string& config) {
    return read_endpoint(json(R"({"id":"e","kind":"redis","config":{)" + config + "}}"), "")->shard;
  };
  CHECK(shard_of(R"("url":"redis://h:1","shard":"s0")") == "s0");
  CHECK(shard_of(R"("host":"h","shard":"s0")") == "s0");
  CHECK(shard_of(R"("write_conn":{"host":"h"},"shard":"s0")") == "s0");
  CHECK(shard_of(R"("host":"h")").empty());
  CHECK(shard_of(R"("host":"h","shard":null)").empty());
  for (const char* wrong : {R"("")", "1", "[]"}) {
    CHECK(config_refusal(R"({"host":"h","shard":)" + std::string(wrong) + "}") ==
          "config.shard: must be a name of 1 to 256 bytes");
  }
  CHECK(config_refusal(R"({"host":"h","shard":")" + std::string(257, 's') + "\"}") ==
        "config.shard: must be a name of 1 to 256 bytes");
  CHECK(config_refusal(R"({"write_conn":{"host":"h","shard":"s0"}})") ==
        "config.write_conn.shard: is not a known field");

  auto spec =
      read_endpoint(json(R"({"id":"e","kind":"redis","config":{"host":"h","shard":"s0"}})"), "");
  const auto patched = [&](const char* config) {
    return patch_endpoint(*spec, json(R"({"config":)" + std::string(config) + "}"));
  };
  CHECK(patched(R"({"url":"redis://other:1"})")->shard == "s0");
  CHECK(patched(R"({"shard":"s1"})")->shard == "s1");
  CHECK(patched(R"({"shard":"s1"})")->address == spec->address);
  CHECK(patched(R"({"shard":null})")->shard.empty());
  Endpoint endpoint{.identity = make_identity("e", Origin::Api),
                    .address = spec->address,
                    .description = {},
                    .shard = spec->shard};
  CHECK(to_text(*render(endpoint).find("config")->find("shard")) == R"("s0")");
  CHECK(endpoint_from_stored(to_stored(endpoint))->shard == "s0");
  endpoint.shard.clear();
  CHECK(render(endpoint).find("config")->find("shard") == nullptr);
  CHECK(endpoint_from_stored(to_stored(endpoint))->shard.empty());
}

}  // namespace crossfade
