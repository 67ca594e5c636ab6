// Guardrails from JSON and back.
#include "control/definitions/guardrails.h"

#include <string>

#include "control/json/fields.h"

namespace crossfade {

namespace {

constexpr std::uint32_t kWindowMax_s = 86'400;
constexpr std::uint32_t kRequestsMax = 1'000'000'000;
constexpr std::uint32_t kDownMax_s = 86'400;
constexpr double kRatioMax = 1'000;

const char* name_of(Guardrails::Action action) {
  switch (action) {
    case Guardrails::Action::Rollback:
      return "rollback";
    case Guardrails::Action::Pause:
      return "pause";
  }
  return "rollback";
}

std::optional<double> read_ratio(Fields& fields, std::string_view name) {
  const Json* member = fields.optional(name);
  if (member == nullptr || member->is_null()) return std::nullopt;
  const double value = member->number();
  // Written so that a NaN fails. 0 is what a sort that is no number gives.
  if (!(value >= 1 && value <= kRatioMax)) {
    fields.complain(name, "must be a number from 1 to 1000");
    return std::nullopt;
  }
  return value;
}

}  // namespace

Result<std::optional<Guardrails>> read_guardrails(const Json& json, const std::string& path) {
  if (json.is_null()) return std::optional<Guardrails>();
  Fields fields(json, path);
  Guardrails rails;
  const auto whole = [&](const char* name, std::uint32_t max, std::uint32_t otherwise) {
    return static_cast<std::uint32_t>(fields.whole(name, 1, max).value_or(otherwise));
  };
  rails.window_s = whole("window_s", kWindowMax_s, rails.window_s);
  rails.min_requests = whole("min_requests", kRequestsMax, rails.min_requests);
  rails.error_rate = fields.share("error_rate");
  rails.p99_ratio = read_ratio(fields, "p99_ratio");
  rails.mismatch_rate = fields.share("mismatch_rate");
  if (const Json* down = fields.optional("new_side_down_s"); down != nullptr && down->is_null()) {
    rails.new_side_down_s = std::nullopt;
  } else {
    rails.new_side_down_s = whole("new_side_down_s", kDownMax_s, Guardrails::kDownS);
  }
  if (const auto action = fields.string("action", kWordMax)) {
    if (*action == name_of(Guardrails::Action::Pause)) {
      rails.action = Guardrails::Action::Pause;
    } else if (*action != name_of(Guardrails::Action::Rollback)) {
      fields.complain("action", "must be rollback or pause");
    }
  }
  if (auto error = fields.finish()) return *error;
  return std::optional(rails);
}

Json render(const std::optional<Guardrails>& guardrails) {
  if (!guardrails) return {};
  return Json::object({{"window_s", guardrails->window_s},
                       {"min_requests", guardrails->min_requests},
                       {"error_rate", or_null(guardrails->error_rate)},
                       {"p99_ratio", or_null(guardrails->p99_ratio)},
                       {"mismatch_rate", or_null(guardrails->mismatch_rate)},
                       {"new_side_down_s", or_null(guardrails->new_side_down_s)},
                       {"action", name_of(guardrails->action)}});
}

}  // namespace crossfade
