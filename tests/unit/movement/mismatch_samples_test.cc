// Samples are bounded, printable, and show no value unless values may be shown.
#include "movement/mismatch_samples.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace crossfade {

namespace {

constexpr std::uint64_t kSeed = 42;

Mismatch mismatch_of(std::string old_reply, std::string new_reply) {
  auto route = std::make_shared<InterlayRoute>();
  route->id = "cache";
  route->migration = "m1";
  Mismatch mismatch;
  mismatch.route = std::move(route);
  mismatch.command = "get";
  mismatch.keys = {"user:1", "k\r\n\x01"};
  mismatch.old_reply = std::move(old_reply);
  mismatch.new_reply = std::move(new_reply);
  return mismatch;
}

MismatchSample sample(MismatchClass what, std::int64_t at) {
  MismatchSample one;
  one.what = what;
  one.at = at;
  return one;
}

std::vector<std::int64_t> times(const MismatchSamples& samples, const std::string& migration) {
  std::vector<std::int64_t> all;
  for (const MismatchSample& one : samples.of(migration)) all.push_back(one.at);
  return all;
}

}  // namespace

TEST_CASE("samples: values become lengths and hashes, forms and words of errors stay") {
  const auto shown = [](std::string_view reply) { return redacted(reply, kSeed); };
  CHECK(shown("+OK\r\n") == "OK");
  CHECK(shown("$-1\r\n") == "(null)");
  CHECK(shown("*0\r\n") == "0[]");
  const std::string value = shown("$6\r\ns3cret\r\n");
  CHECK(value.starts_with("<6 bytes, "));
  CHECK(value.size() == std::string("<6 bytes, 01234567>").size());
  CHECK(shown("*2\r\n$6\r\ns3cret\r\n_\r\n") == "2[" + value + ", (null)]");
  CHECK(shown("%1\r\n$6\r\ns3cret\r\n:7\r\n").starts_with("1{" + value + ", (integer) <1 bytes, "));
  CHECK(shown("-ERR\r\n") == "(error) ERR");
  CHECK(shown("-ERR no s3cret\r\n").starts_with("(error) ERR <10 bytes, "));
  CHECK(shown("$99\r\ns3cret").starts_with("(cut) <11 bytes, "));
  for (const char* reply :
       {"$6\r\ns3cret\r\n", "+s3cret\r\n", ":531531\r\n", ",531531\r\n", "-E s3cret\r\n",
        "*1\r\n$6\r\ns3cret\r\n", "$9\r\ns3cret", "=10\r\ntxt:s3cret\r\n"}) {
    CHECK(shown(reply).find("s3cret") == std::string::npos);
    CHECK(shown(reply).find("531531") == std::string::npos);
  }
}

TEST_CASE("samples: equal values have equal hashes, under the seed of this process only") {
  CHECK(redacted("$1\r\na\r\n", 1) == redacted("+a\r\n", 1));
  CHECK(redacted("$1\r\na\r\n", 1) != redacted("$1\r\nb\r\n", 1));
  CHECK(redacted("$1\r\na\r\n", 1) != redacted("$1\r\na\r\n", 2));
}

TEST_CASE("samples: everything is printable and bounded") {
  CHECK(printable("a\r\n\t\\\x01\xff") == "a\\r\\n\\t\\\\\\x01\\xff");
  CHECK(printable(std::string(257, 'a')) == std::string(256, 'a') + "...");
  CHECK(printable(std::string(256, 'a')) == std::string(256, 'a'));
  std::string many = "*1000\r\n";
  for (int i = 0; i < 1000; ++i) many += "$-1\r\n";
  CHECK(redacted(many, kSeed).size() <= kSampleTextMax + 3);
  Mismatch mismatch = mismatch_of(std::string(100'000, '\0'), many);
  mismatch.keys.assign(1000, std::string(100'000, 'k'));
  for (const bool redact : {false, true}) {
    const MismatchSample one = sample_of(mismatch, MismatchClass::Real, 1, redact, kSeed);
    CHECK(one.keys.size() == kSampleKeysMax);
    CHECK(one.keys[0].size() == kSampleTextMax + 3);
    CHECK(one.old_reply.size() <= 4 * kSampleTextMax + 3);
    CHECK(one.new_reply.size() <= 4 * kSampleTextMax + 3);
  }
}

TEST_CASE("samples: keys stay, replies are as they are when values may be shown") {
  const Mismatch mismatch = mismatch_of("$1\r\na\r\n", "$-1\r\n");
  const MismatchSample open = sample_of(mismatch, MismatchClass::Real, 7, false, kSeed);
  CHECK(open.keys == std::vector<std::string>{"user:1", "k\\r\\n\\x01"});
  CHECK(open.old_reply == "$1\\r\\na\\r\\n");
  CHECK(open.new_reply == "$-1\\r\\n");
  CHECK(open.interlay == "cache");
  CHECK(open.command == "get");
  CHECK(open.at == 7);
  const MismatchSample closed = sample_of(mismatch, MismatchClass::Real, 7, true, kSeed);
  CHECK(closed.keys == open.keys);
  CHECK(closed.new_reply == "(null)");
}

TEST_CASE("samples: the newest are kept, and what is confirmed goes last") {
  MismatchSamples samples(3);
  samples.keep("m1", sample(MismatchClass::Race, 1));
  samples.keep("m1", sample(MismatchClass::Real, 2));
  samples.keep("m1", sample(MismatchClass::Race, 3));
  CHECK(times(samples, "m1") == std::vector<std::int64_t>{3, 2, 1});
  samples.keep("m1", sample(MismatchClass::Race, 4));
  CHECK(times(samples, "m1") == std::vector<std::int64_t>{4, 3, 2});
  for (std::int64_t at = 5; at < 8; ++at) samples.keep("m1", sample(MismatchClass::Real, at));
  CHECK(times(samples, "m1") == std::vector<std::int64_t>{7, 6, 5});
  CHECK(times(samples, "m2").empty());
}

TEST_CASE("samples: the number of migrations is bounded, the longest unheard-of goes") {
  MismatchSamples samples(1);
  samples.keep("first", sample(MismatchClass::Real, 1));
  samples.keep("second", sample(MismatchClass::Real, 1));
  samples.keep("first", sample(MismatchClass::Real, 2));
  for (std::size_t i = 2; i <= kSampledMigrationsMax; ++i) {
    samples.keep("m" + std::to_string(i), sample(MismatchClass::Real, 1));
  }
  CHECK(times(samples, "second").empty());
  CHECK(times(samples, "first").size() == 1);
  MismatchSamples none(0);
  none.keep("m", sample(MismatchClass::Real, 1));
  CHECK(times(none, "m").empty());
}

}  // namespace crossfade
