// Base64: one text for all bytes, and no other text means any.
#include "protocols/base/base64.h"

#include <doctest/doctest.h>

namespace crossfade {
namespace {

TEST_CASE("base64: the vectors of RFC 4648 hold both ways") {
  const char* const kVectors[][2] = {{"", ""},
                                     {"f", "Zg=="},
                                     {"fo", "Zm8="},
                                     {"foo", "Zm9v"},
                                     {"foob", "Zm9vYg=="},
                                     {"fooba", "Zm9vYmE="},
                                     {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : kVectors) {
    CHECK(base64(bytes) == text);
    CHECK(base64_decoded(text) == bytes);
  }
}

TEST_CASE("base64: every byte comes back") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    bytes.push_back(static_cast<char>(i * 7));
    CHECK(base64_decoded(base64(bytes)) == bytes);
  }
}

TEST_CASE("base64: what is not written by it is not read") {
  for (const char* const text : {"Z", "Zg", "Zg=", "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm 9", "=",
                                 "====", "Z===", "Zh==", "Zm9=", "Zm-v", "Zg=v", "=Zg=", "Zm9vZ"}) {
    CAPTURE(text);
    CHECK(base64_decoded(text) == std::nullopt);
  }
}

}  // namespace
}  // namespace crossfade
