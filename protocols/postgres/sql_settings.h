// Settings of PostgreSQL that a session may set.
#pragma once

#include <string_view>

namespace crossfade::postgres {

// Its value is the session's, whichever server it is on. Any other is its server's own, or may be:
// one that no session may set (`port`), that is not known, or whose name is not told (empty).
//   name  in letters of any size; one with a dot in it is a user's
bool is_session_setting(std::string_view name);

}  // namespace crossfade::postgres
