// Write modes from JSON and back.
#include "control/definitions/write_mode.h"

namespace crossfade {

namespace {

const char* name_of(Policy policy) {
  switch (policy) {
    case Policy::OldAuthoritative:
      return "old_authoritative";
    case Policy::NewAuthoritative:
      return "new_authoritative";
    case Policy::BestEffort:
      return "best_effort";
  }
  return "old_authoritative";
}

void read_policy(Fields& fields, WriteModeSpec& spec) {
  const auto given = fields.string("policy", kWordMax);
  if (!given) return;
  for (const Policy policy :
       {Policy::OldAuthoritative, Policy::NewAuthoritative, Policy::BestEffort}) {
    if (*given != name_of(policy)) continue;
    spec.policy = policy;
    return;
  }
  fields.complain("policy", "must be old_authoritative, new_authoritative or best_effort");
}

void read_engine(Fields& fields, WriteModeSpec& spec) {
  const auto given = fields.string("engine", kWordMax);
  if (!given) return;
  if (*given == "statement") {
    spec.engine = Engine::Statement;
  } else if (*given == "replication") {
    fields.complain("engine",
                    "\"replication\" comes with PostgreSQL data movement; this version has "
                    "\"statement\"");
  } else {
    fields.complain("engine", "must be \"statement\"");
  }
}

}  // namespace

Result<WriteModeSpec> read_write_mode(const Json& json, const std::string& path) {
  Fields fields(json, path);
  WriteModeSpec spec;
  const std::string mode = fields.required_string("mode", kWordMax);
  if (mode == "dual_write") {
    read_policy(fields, spec);
    read_engine(fields, spec);
  } else if (mode == "cutover") {
    spec.mode = WriteMode::Mode::Cutover;
    spec.write_percentage = fields.required_share("write_percentage");
  } else {
    fields.complain("mode", "must be dual_write or cutover");
  }
  if (auto error = fields.finish()) return *error;
  return spec;
}

Json render(const WriteModeSpec& spec) {
  if (spec.mode == WriteMode::Mode::Cutover) {
    return Json::object({{"mode", "cutover"}, {"write_percentage", spec.write_percentage}});
  }
  Json json = Json::object({{"mode", "dual_write"}, {"policy", name_of(spec.policy)}});
  if (spec.engine == Engine::Statement) json.set("engine", "statement");
  return json;
}

}  // namespace crossfade
