// redis:// URLs: every part, percent-decoded, and refusals that never quote them.
#include "control/definitions/redis_url.h"

#include "control/definitions/url.h"

#include <doctest/doctest.h>

#include <string>

namespace crossfade {

namespace {

EndpointAddress parsed(std::string_view url) {
  auto address = parse_redis_url(url);
  REQUIRE_MESSAGE(address.ok(), url);
  return *address;
}

}  // namespace

TEST_CASE("redis url: parts that are left out have their defaults") {
  EndpointAddress expected;
  expected.host = "cache";
  CHECK(parsed("redis://cache") == expected);
  CHECK(expected.port == 6379);
  expected.port = 7000;
  CHECK(parsed("redis://cache:7000") == expected);
  CHECK(parsed("redis://cache/3").db == 3);
  CHECK(parsed("redis://cache:7000/").db == 0);
}

TEST_CASE("redis url: user and password are percent-decoded") {
  const EndpointAddress address = parsed("redis://us%65r:p%40ss%2Fw%3Aord%25@[::1]:6380/15");
  CHECK(address.username == "user");
  CHECK(address.password == "p@ss/w:ord%");
  CHECK(address.host == "::1");
  CHECK(address.port == 6380);
  CHECK(address.db == 15);
}

TEST_CASE("redis url: a password without a user is the default user's") {
  CHECK(parsed("redis://:secret@h").password == "secret");
  CHECK(parsed("redis://:secret@h").username.empty());
}

TEST_CASE("redis url: a password with unencoded signs is read as it was meant") {
  CHECK(parsed("redis://:a@b@h").password == "a@b");
  CHECK(parsed("redis://:a?b#c/d@h").password == "a?b#c/d");
}

TEST_CASE("redis url: what percent_encode writes is read back") {
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  CHECK(parsed("redis://" + percent_encode("u:@/") + ":" + percent_encode(all) + "@h").password ==
        all);
}

TEST_CASE("redis url: what is wrong is refused without quoting it") {
  for (const char* url : {"", "cache:6379", "http://cache", "redis:/cache", "redis://",
                          "redis://:s3cret@", "redis://:s3cret@h:0", "redis://:s3cret@h:65536",
                          "redis://:s3cret@h:1x", "redis://:s3cret@h/x", "redis://:s3cret@h/1/2",
                          "redis://:s3cret@h/-1", "redis://:s3cret%4@h", "redis://:s3cret%zz@h",
                          "redis://s3cret@h", "redis://:s3cret@h?x=1", "redis://:s3cret@[::1"}) {
    CAPTURE(url);
    const auto address = parse_redis_url(url);
    REQUIRE_FALSE(address.ok());
    CHECK(address.error().message().find("s3cret") == std::string::npos);
  }
}

TEST_CASE("redis url: rediss is TLS that verifies all there is, redis is none") {
  const auto address = parse_redis_url("rediss://:s3cret@h:7000/2");
  REQUIRE(address.ok());
  CHECK(address.value().tls.settings.mode == TlsMode::VerifyFull);
  CHECK(address.value().tls.end != nullptr);
  CHECK(address.value().port == 7000);
  CHECK_FALSE(parse_redis_url("redis://h").value().tls);
}

}  // namespace crossfade
