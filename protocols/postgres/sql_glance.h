// A look at SQL that costs next to nothing, for sessions whose SQL nobody else reads.
//
// Knows no grammar: it may see something where there is nothing, never the other way round for
// statements that are written out.
#pragma once

#include <string_view>

namespace crossfade::postgres {

// Whether the text may give a value to a setting with a dot in its name ("SET app.tenant = '5'",
// set_config('app.tenant', …)): servers do not list those, so their names are to be remembered.
//   cost  about 1 ns per byte
bool may_set_custom(std::string_view sql);

}  // namespace crossfade::postgres
