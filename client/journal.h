// A migration's journal, read to its end, however many pages that takes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "client/api_client.h"
#include "control/json/value.h"
#include "protocols/base/result.h"

namespace crossfade {

// Hands each line behind `after` to `each`, oldest first, until there are no more or it says false.
//   migration  path: "/migrations/m"
//   returns    the last answer, which may be a refusal
//   errors     as those of a call
Result<ApiAnswer> read_journal(ApiClient& client, const std::string& migration, std::uint64_t after,
                               const std::function<bool(const Json&)>& each);

}  // namespace crossfade
