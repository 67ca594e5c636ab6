// How the commands of the built-in table are repeated on another server.
#pragma once

#include <string_view>

#include "protocols/redis/command.h"

namespace crossfade::redis {

// Repeat::Same for all but a few. The name is one of the built-in table's.
Repeat repeat_of(std::string_view name);

}  // namespace crossfade::redis
