// A look at SQL that costs next to nothing, for sessions whose SQL nobody else reads.
//
// Knows no grammar: it may see something where there is nothing, never the other way round for
// statements that are written out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::postgres {

// Whether the text may give a value to a setting with a dot in its name ("SET app.tenant = '5'",
// set_config('app.tenant', …)): servers do not list those, so their names are to be remembered.
//   cost  about 1 ns per byte
bool may_set_custom(std::string_view sql);

// Whether text that nobody has read may be a definition.
//   cost  about 1 ns per byte
bool may_define(std::string_view sql);

// Settings with a dot in their names that a piece of code mentions: what a DO block or a function's
// body sets or reads, as far as it writes their names out.
struct CodeSettings {
  std::vector<std::string> names;  // some may be none
  // Code may also set what it computes the name of, or seed random(): nobody can ask for that.
  enum class Told : std::uint8_t { All, NotAll } told = Told::All;
};
//   cost  about 1 ns per byte
CodeSettings settings_in(std::string_view code);

}  // namespace crossfade::postgres
