// Checks as the API shows them.
#include "control/service/check.h"

#include <algorithm>

namespace crossfade {

bool passed(const std::vector<Check>& checks) {
  return std::all_of(checks.begin(), checks.end(), [](const Check& check) { return check.ok; });
}

Json render(const Check& check) {
  Json json = Json::object({{"name", check.name}, {"ok", check.ok}, {"detail", check.detail}});
  if (!check.interlay.empty()) json.set("interlay", check.interlay);
  return json;
}

Refusal refusal_of(const std::string& what, const std::vector<Check>& checks) {
  std::string message = what;
  Json failed = Json::array();
  const char* separator = ": ";
  for (const Check& check : checks) {
    if (check.ok) continue;
    message += separator + check.name +
               (check.interlay.empty() ? "" : " of interlay '" + check.interlay + "'") + ": " +
               check.detail;
    separator = "; ";
    failed.push(render(check));
  }
  Refusal refusal = conflict(std::move(message));
  refusal.beside.set("checks", std::move(failed));
  return refusal;
}

}  // namespace crossfade
