// One table of the settings: name, member, range.
#include "control/definitions/interlay_settings.h"

#include <array>

#include "control/json/fields.h"
#include "protocols/postgres/session_state.h"
#include "protocols/postgres/sql_classify.h"

namespace crossfade {

namespace {

struct Range {
  const char* name;
  std::uint32_t InterlaySettings::*member;
  std::uint32_t min;
  std::uint32_t max;
};

constexpr std::uint32_t kHour = 3'600'000;  // ms
constexpr std::uint32_t kGigabyte = 1u << 30;
// The loop waits for the parser: 0.2 s for this much at worst, and 200 MiB.
constexpr std::uint32_t kSqlLengthMost = 1u << 20;

// The lower bounds keep a setting from switching off what cannot be done without; only time limits
// may be 0, which means none.
constexpr std::array kRanges = {
    Range{"connect_timeout_ms", &InterlaySettings::connect_timeout_ms, 1, kHour},
    Range{"handshake_timeout_ms", &InterlaySettings::handshake_timeout_ms, 0, kHour},
    Range{"login_timeout_ms", &InterlaySettings::login_timeout_ms, 0, kHour},
    Range{"answer_timeout_ms", &InterlaySettings::answer_timeout_ms, 0, kHour},
    Range{"second_leg_timeout_ms", &InterlaySettings::second_leg_timeout_ms, 1, kHour},
    Range{"order_wait_ms", &InterlaySettings::order_wait_ms, 1, kHour},
    Range{"copy_max", &InterlaySettings::copy_max, 1024, kGigabyte},
    Range{"second_inflight_max", &InterlaySettings::second_inflight_max, 1, 10'000'000},
    Range{"second_bytes_max", &InterlaySettings::second_bytes_max, 1024, kGigabyte},
    Range{"clients_max", &InterlaySettings::clients_max, 1, 1'000'000},
    Range{"pipeline_max", &InterlaySettings::pipeline_max, 1, 10'000'000},
    Range{"output_buffer_max", &InterlaySettings::output_buffer_max, 4096, kGigabyte},
    Range{"unread_max", &InterlaySettings::unread_max, 4096, kGigabyte},
    Range{"request_head_max", &InterlaySettings::request_head_max, 1024, kGigabyte},
    Range{"reorder_max", &InterlaySettings::reorder_max, 4096, kGigabyte},
    Range{"sql_length_max", &InterlaySettings::sql_length_max, 1024, kSqlLengthMost},
    Range{"sql_cache_max", &InterlaySettings::sql_cache_max, 4096, kGigabyte},
    Range{"segment_max", &InterlaySettings::segment_max, 4096, kGigabyte},
    Range{"statements_max", &InterlaySettings::statements_max, 4096, kGigabyte},
    Range{"custom_settings_max", &InterlaySettings::custom_settings_max, 1024, kGigabyte},
    Range{"side_change_wait_ms", &InterlaySettings::side_change_wait_ms, 0, kHour},
};
static_assert(sizeof(InterlaySettings) == kRanges.size() * sizeof(std::uint32_t),
              "every setting has a line here");
static_assert(InterlaySettings{}.sql_length_max == postgres::SqlLimits{}.sql_parse_max &&
                  InterlaySettings{}.sql_cache_max == postgres::SqlLimits{}.sql_cache_max &&
                  InterlaySettings{}.statements_max == postgres::kStatementsMaxDefault,
              "one default for whoever has no interlay");

}  // namespace

Result<SettingOverrides> read_interlay_settings(const Json& settings, const std::string& path,
                                                SettingOverrides overrides) {
  Fields fields(settings, path);
  for (const Range& range : kRanges) {
    const Json* given = fields.optional(range.name);
    if (given == nullptr) continue;
    if (given->is_null()) {
      overrides.erase(range.name);
    } else if (const auto value = fields.whole(range.name, range.min, range.max)) {
      overrides[range.name] = static_cast<std::uint32_t>(*value);
    }
  }
  if (auto error = fields.finish()) return *error;
  return overrides;
}

InterlaySettings overridden(InterlaySettings defaults, const SettingOverrides& overrides) {
  for (const Range& range : kRanges) {
    const auto found = overrides.find(range.name);
    if (found != overrides.end()) defaults.*range.member = found->second;
  }
  return defaults;
}

Json render(const InterlaySettings& settings) {
  Json rendered = Json::object({});
  for (const Range& range : kRanges) rendered.set(range.name, settings.*range.member);
  return rendered;
}

}  // namespace crossfade
