// Passwords come out as PostgreSQL hashes them. The forms are those of RFC 4013, section 3, and of
// PostgreSQL's own tests of SASLprep; scram_test.py asks a real server.
#include "protocols/postgres/password_prep.h"

#include <doctest/doctest.h>

namespace crossfade::postgres {
namespace {

TEST_CASE("password: ASCII stays as it is, control characters too") {
  for (const char* const text : {"", "pencil", " a b ", "tab\there\x01\x7f", "$1:=,"}) {
    CHECK(prepared_password(text) == text);
  }
}

TEST_CASE("password: what looks alike becomes alike") {
  CHECK(prepared_password("I\u00adX") == "IX");            // soft hyphen: to nothing
  CHECK(prepared_password("\u00aa") == "a");               // feminine ordinal
  CHECK(prepared_password("\u2168") == "IX");              // Roman numeral nine
  CHECK(prepared_password("a\u00a0b\u3000c") == "a b c");  // blanks of other scripts
  CHECK(prepared_password("\u200b!") == " !");             // a blank before it is nothing
  CHECK(prepared_password("A\u030a") == "\u00c5");         // composed
  CHECK(prepared_password("\u212b") == "\u00c5");          // Angstrom
  CHECK(prepared_password("\u0627\u0031\u0628") == "\u06271\u0628");  // right-to-left at both ends
}

TEST_CASE("password: what SASLprep refuses stays as it is") {
  for (const char* const text : {"\u00ad",            // nothing is left
                                 "\u2168\x07",        // a control character
                                 "\u2168\ue000",      // private use
                                 "\u0627\u0031",      // right-to-left only at its beginning
                                 "\u0627a\u0628",     // both directions
                                 "\u2168\u0340",      // prohibited, although NFKC would replace it
                                 "\u2168\u0221",      // unassigned in Unicode 3.2
                                 "\u2168\U0001f511",  // newer than that
                                 "\u2168\xff", "\xc3",  // not UTF-8
                                 "\xed\xa0\x80\u2168",  // a surrogate
                                 "\xc0\xaf\u2168"}) {   // not the shortest form
    CAPTURE(text);
    CHECK(prepared_password(text) == text);
  }
}

}  // namespace
}  // namespace crossfade::postgres
