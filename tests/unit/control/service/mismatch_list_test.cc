// Samples of mismatches read in JSON as documented.
#include "control/service/mismatch_list.h"

#include <doctest/doctest.h>

#include "control/json/write.h"

namespace crossfade {

TEST_CASE("mismatch list: every member is there, in order, newest first as given") {
  MismatchSample sample;
  sample.at = 1'700'000'000;
  sample.interlay = "cache";
  sample.sort = Second::Write;
  sample.what = MismatchClass::Real;
  sample.command = "incr";
  sample.keys = {"a", "b\\x00"};
  sample.old_reply = "<1 bytes, 0a1b2c3d>";
  sample.new_reply = "null";
  MismatchSample other;
  other.db = 3;
  CHECK(to_text(render(std::vector{sample, other})) ==
        R"([{"at":"2023-11-14T22:13:20Z","interlay":"cache","sort":"write","class":"real",)"
        R"("command":"incr","db":null,"keys":["a","b\\x00"],)"
        R"("old_reply":"<1 bytes, 0a1b2c3d>","new_reply":"null"},)"
        R"({"at":"1970-01-01T00:00:00Z","interlay":"","sort":"copy","class":"unsure",)"
        R"("command":"","db":3,"keys":[],"old_reply":"","new_reply":""}])");
  CHECK(to_text(render(std::vector<MismatchSample>{})) == "[]");
}

}  // namespace crossfade
