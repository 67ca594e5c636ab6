// Regions of an interlay.
#include "control/definitions/regions.h"

#include <doctest/doctest.h>

#include <string>

#include "control/definitions/interlay.h"
#include "control/json/write.h"
#include "reading.h"

namespace crossfade {

TEST_CASE("regions: networks of either version, and what is wrong with others") {
  const auto read = [](const std::string& regions) {
    auto spec = read_interlay(
        json(R"({"id":"i","endpoint":"e","port":1,"settings":{"pipeline_max":5,"regions":)" +
             regions + "}}"),
        "");
    return spec ? to_text(render(spec->regions)) : spec.error().reason;
  };
  CHECK(read(R"({"eu":["10.1.0.0/16","10.9.9.9"],"us":["fd00:1::/32","::/0"]})") ==
        R"({"eu":["10.1.0.0/16","10.9.9.9/32"],"us":["fd00:1::/32","::/0"]})");
  CHECK(read("null") == "{}");
  CHECK(read("[]") == "settings.regions: must be an object of regions");
  CHECK(read(R"({"eu":"10.0.0.0/8"})") == "settings.regions.eu: must be an array of networks");
  for (const char* text : {"10.0.0.0/33", "10.0.0/8", "fd00::/129", "x", "", "10.0.0.0/",
                           "10.0.0.0/8 ", "10.0.0.0/-1"}) {
    CAPTURE(text);
    CHECK(read(R"({"eu":[")" + std::string(text) + R"("]})")
              .find("settings.regions.eu[0]: must be a network") == 0);
  }
  CHECK(read(R"({"eu":["10.0.0.1/8"]})").find("settings.regions.eu[0]: has bits behind") == 0);
  CHECK(read(R"({"eu":["10.0.0.0/8"],"us":["10.0.0.0/8"]})") ==
        "settings.regions.us[0]: is named twice");
}

}  // namespace crossfade
