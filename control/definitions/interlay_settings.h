// Interlay settings by name: the bridge between "settings" in JSON and InterlaySettings.
#pragma once

#include <map>
#include <string>

#include "control/json/value.h"
#include "protocols/base/result.h"
#include "strategies/table.h"

namespace crossfade {

// The settings that were given, by name; the others keep their defaults, whatever those become.
using SettingOverrides = std::map<std::string, std::uint32_t>;

// Reads an object of settings on top of `overrides`; null for a member takes its override away.
//   errors  BadInput: "settings.pipeline_max: must be a whole number from 1 to 1000000"
Result<SettingOverrides> read_interlay_settings(const Json& settings, const std::string& path,
                                                SettingOverrides overrides);

// `defaults` with the overrides applied. Every name must be one that read_interlay_settings
// accepted.
InterlaySettings overridden(InterlaySettings defaults, const SettingOverrides& overrides);

// All settings, as GET shows them.
Json render(const InterlaySettings& settings);

}  // namespace crossfade
