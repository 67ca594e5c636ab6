// One member a line, in the order in which docs/api.md shows them.
#include "control/service/mismatch_list.h"

#include "control/definitions/identity.h"

namespace crossfade {

namespace {

Json render(const MismatchSample& sample) {
  Json keys = Json::array();
  for (const std::string& key : sample.keys) keys.push(key);
  return Json::object({
      {"at", rfc3339(sample.at)},
      {"interlay", sample.interlay},
      {"sort", sort_name(sort_index(sample.sort))},
      {"class", name_of(sample.what)},
      {"command", sample.command},
      {"db", sample.db == kDefaultDb ? Json() : Json(std::int64_t{sample.db})},
      {"keys", std::move(keys)},
      {"old_reply", sample.old_reply},
      {"new_reply", sample.new_reply},
  });
}

}  // namespace

Json render(const std::vector<MismatchSample>& samples) {
  Json list = Json::array();
  for (const MismatchSample& sample : samples) list.push(render(sample));
  return list;
}

}  // namespace crossfade
