// "settings.user" of an interlay: who the user of a request is.
#pragma once

#include <optional>
#include <string>

#include "control/json/value.h"
#include "protocols/base/result.h"
#include "strategies/table.h"
#include "strategies/user.h"

namespace crossfade {

// Reads {"from": "login"}, {"from": "key", "pattern"?}, {"from": "field", "name"} or
// {"from": "comment", "name"}; null is none: as the strategy has it by itself.
//   errors  BadInput: "settings.user.from: must be login, key, field or comment"
Result<std::optional<UserSource>> read_user(const Json& json, const std::string& path);

Json render(const UserSource& user);

// Why an interlay of that kind can not have it; nullopt: it can.
std::optional<std::string> user_objection(EndpointKind kind, const std::optional<UserSource>& user);

// Who a user of a feature_flag is at an interlay of that kind, with that setting.
UserSource user_of(EndpointKind kind, const std::optional<UserSource>& user);

}  // namespace crossfade
