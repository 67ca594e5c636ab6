// Auth queries: a row lets in its own user, with a verifier, until its time.
#include "protocols/postgres/auth_query.h"

#include <doctest/doctest.h>

namespace crossfade::postgres {
namespace {

constexpr const char* kMd5 = "md5e73a4b11df52a6068f8b39f90be36023";
constexpr Timestamp kNow{1'709'210'096'789'012};  // 2024-02-29 12:34:56.789012 UTC

AuthAnswer judged(const AuthRow& row) {
  Result<AuthAnswer> answer = judge(row, "ann", kNow);
  REQUIRE(answer.ok());
  return std::move(answer).value();
}

TEST_CASE("auth query: a verifier without an end, or with one to come, is usable") {
  const AuthRow rows[] = {{"ann", kMd5, {}},
                          {"ann", kMd5, "infinity"},
                          {"ann", kMd5, "2024-02-29 12:34:56.789012+00"},
                          {"ann", kMd5, "2024-02-29 11:34:57-01"}};
  for (const AuthRow& row : rows) {
    const AuthAnswer answer = judged(row);
    REQUIRE(std::holds_alternative<Usable>(answer));
    CHECK(std::get<Usable>(answer).verifier == Verifier(Md5Verifier{kMd5}));
  }
}

TEST_CASE("auth query: a verifier ends at its time") {
  for (const char* const end :
       {"-infinity", "2024-02-29 12:34:56.789011+00", "2024-02-29 12:34:56+00"}) {
    CHECK(std::holds_alternative<Expired>(judged({"ann", kMd5, end})));
  }
}

TEST_CASE("auth query: a user without a password has no verifier") {
  CHECK(std::holds_alternative<NoVerifier>(judged({"ann", {}, {}})));
  CHECK(std::holds_alternative<NoVerifier>(judged({"ann", "", {}})));
}

TEST_CASE("auth query: what can not be read lets nobody in, and is not repeated") {
  const AuthRow rows[] = {{"Ann", kMd5, {}},
                          {"", kMd5, {}},
                          {"ann", "hunter2", {}},
                          {"ann", kMd5, ""},
                          {"ann", kMd5, "29.02.2034 12:34:56 UTC"}};
  for (const AuthRow& row : rows) {
    const Result<AuthAnswer> answer = judge(row, "ann", kNow);
    REQUIRE_FALSE(answer.ok());
    CHECK(answer.error().message().find("hunter2") == std::string::npos);
    CHECK(answer.error().message().find("e73a") == std::string::npos);
  }
}

}  // namespace
}  // namespace crossfade::postgres
