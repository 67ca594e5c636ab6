// Texts that a server reads as the moment it reads them.
#include "protocols/postgres/moment.h"

#include <doctest/doctest.h>

namespace crossfade::postgres {
namespace {

TEST_CASE("moment: a constant is one if its first word is") {
  for (const char* const text : {"now", " Today 12:00", "YESTERDAY", "tomorrow"})
    CHECK(is_moment(text));
  for (const char* const text : {"", " ", "nowhere", "not now", "infinity"})
    CHECK_FALSE(is_moment(text));
}

TEST_CASE("moment: a parameter passes one in few words, or among the elements of an array") {
  for (const char* const value :
       {"now", " NOW\n", "today", "Yesterday", "tomorrow 10:00", "10:00 today",
        "today at 10:00 UTC", "'now'", "{now}", "{2020-01-01,\"Now\"}", "[2020-01-01,now)",
        "{{infinity,now},{epoch,epoch}}"}) {
    CAPTURE(value);
    CHECK(passes_moment(value));
  }
  for (const char* const value :
       {"", "  ", "infinity", "-infinity", "epoch", "2020-01-01", "nowhere", "snow",
        "n\xc3\xb3w now\xc3\xa9", "today is a good day to write", "{knowing,todays}", "{}",
        "nothing"}) {
    CAPTURE(value);
    CHECK_FALSE(passes_moment(value));
  }
}

}  // namespace
}  // namespace crossfade::postgres
