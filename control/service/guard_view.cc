// Figures and limits as JSON.
#include "control/service/guard_view.h"

namespace crossfade {

namespace {

Json beside_limit(Json value, Json limit) {
  return Json::object({{"new", std::move(value)}, {"limit", std::move(limit)}});
}

}  // namespace

Json render(const std::optional<GuardView>& view, const std::optional<Guardrails>& rails) {
  if (!view || !rails) return {};
  const WindowFigures& window = view->window;
  const auto share = [&](std::size_t side) {
    return window.asked[side] == 0 ? Json() : Json(window.error_rate(side));
  };
  const auto p99 = [&](std::size_t side) {
    return window.timed[side] == 0 ? Json() : Json(window.p99_ms[side]);
  };
  const std::optional<std::int64_t> down_s =
      view->down_for_ms ? std::optional(*view->down_for_ms / 1'000) : std::nullopt;
  return Json::object(
      {{"over_s", window.seconds},
       {"min_requests", rails->min_requests},
       {"requests", Json::object({{"old", window.asked[kOld]}, {"new", window.asked[kNew]}})},
       {"error_rate",
        Json::object(
            {{"old", share(kOld)}, {"new", share(kNew)}, {"limit", or_null(rails->error_rate)}})},
       {"p99_ms", Json::object({{"old", p99(kOld)}, {"new", p99(kNew)}})},
       {"p99_ratio", beside_limit(or_null(window.p99_ratio()), or_null(rails->p99_ratio))},
       {"compared", window.compared},
       {"mismatch_rate", beside_limit(window.compared == 0 ? Json() : Json(window.mismatch_rate()),
                                      or_null(rails->mismatch_rate))},
       {"new_side_down_s", beside_limit(or_null(down_s), or_null(rails->new_side_down_s))},
       {"retries", view->retries}});
}

}  // namespace crossfade
