// Ids, uuids, and the times of definitions.
#include "control/definitions/identity.h"

#include <doctest/doctest.h>

#include <string>

#include "control/definitions/endpoint.h"
#include "reading.h"

namespace crossfade {

TEST_CASE("ids: letters, digits and four signs; never a uuid, never what a client folds away") {
  const auto with_id = [](const std::string& id) {
    return refusal(read_endpoint(
        Json::object({{"id", id}, {"kind", "redis"}, {"config", json(R"({"host":"h"})")}}), ""));
  };
  CHECK(with_id("aZ09_-.:") == "accepted");
  CHECK(with_id(std::string(128, 'a')) == "accepted");
  for (const std::string& id :
       {std::string(), std::string("a b"), std::string("a/b"), std::string("a\nb"),
        std::string("."), std::string(".."), std::string(129, 'a'), std::string("é")}) {
    CAPTURE(id);
    CHECK(with_id(id).find("id: ") == 0);
  }
  CHECK(with_id(make_uuid()) == "id: must not have the form of a uuid");
}

TEST_CASE("uuids: version 4, and different") {
  const std::string uuid = make_uuid();
  CHECK(looks_like_uuid(uuid));
  CHECK(uuid[14] == '4');
  CHECK(std::string("89ab").find(uuid[19]) != std::string::npos);
  CHECK(uuid != make_uuid());
}

TEST_CASE("times: RFC 3339 in UTC") {
  CHECK(rfc3339(0) == "1970-01-01T00:00:00Z");
  CHECK(rfc3339(1705314600) == "2024-01-15T10:30:00Z");
}

}  // namespace crossfade
