// How each tool becomes calls of the API.
#include "control/mcp/tools.h"

#include "control/definitions/identity.h"
#include "control/json/fields.h"
#include "control/lifecycle.h"

namespace crossfade {

namespace {

using Outcome = std::variant<ToolResult, ToolMisuse>;

constexpr std::uint64_t kListedMax = 1000;
constexpr std::uint64_t kListedDefault = 100;

const Json kNoBody;

std::string path_of(const std::string& id, const std::string& behind = "") {
  return "/migrations/" + id + behind;
}

// An id or uuid, which is one segment of a path.
std::string read_reference(Fields& fields, std::string_view name) {
  std::string reference = fields.required_string(name, kIdMax);
  if (reference.empty() || reference.find('/') != reference.npos) {
    fields.complain(name, "must be an id or a uuid");
  }
  return reference;
}

bool succeeded(const ApiOutcome& outcome) { return outcome.status < 400; }

ToolResult failure_of(const ApiOutcome& outcome) {
  const Json* message = outcome.body.find("message");
  const bool said =
      message != nullptr && message->string() != nullptr && !message->string()->empty();
  return {.structured = {},
          .failure = said ? *message->string() : "status " + std::to_string(outcome.status)};
}

// The data of a success, which is an object.
Outcome result_of(const ApiOutcome& outcome) {
  if (!succeeded(outcome)) return failure_of(outcome);
  const Json* data = outcome.body.find("data");
  return ToolResult{.structured = data == nullptr ? Json::object({}) : *data, .failure = {}};
}

// "2026-01-15T10:30:00Z": times of that form are in order as texts.
bool is_time(const std::string& text) {
  static constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  if (text.size() != kForm.size()) return false;
  for (std::size_t at = 0; at < kForm.size(); ++at) {
    const bool digit = text[at] >= '0' && text[at] <= '9';
    if (kForm[at] == '0' ? !digit : text[at] != kForm[at]) return false;
  }
  return true;
}

std::string text_at(const Json& object, std::string_view name) {
  const Json* found = object.find(name);
  return found == nullptr || found->string() == nullptr ? "" : *found->string();
}

Outcome list_migrations(const Json& arguments, const ApiDoor& api) {
  Fields fields(arguments, "");
  const bool verbose = fields.boolean("verbose").value_or(false);
  const std::string since = fields.string("updated_since", kWordMax).value_or("");
  const std::string status = fields.string("status", kWordMax).value_or("");
  const std::uint64_t limit = fields.whole("limit", 1, kListedMax).value_or(kListedDefault);
  const std::string cursor = fields.string("cursor", kWordMax).value_or("");
  if (!since.empty() && !is_time(since)) {
    fields.complain("updated_since", "must be a time like 2026-01-15T10:30:00Z");
  }
  if (!status.empty() && !migration_status(status)) {
    fields.complain("status", "is none of a migration's");
  }
  if (const auto error = fields.finish()) return ToolMisuse{error->message()};
  const ApiOutcome outcome =
      api("GET", "/migrations", {{"verbose", verbose ? "true" : "false"}}, kNoBody);
  if (!succeeded(outcome)) return failure_of(outcome);
  Json migrations = Json::array();
  Json next;
  bool reached = cursor.empty();
  const Json* data = outcome.body.find("data");
  for (const Json& one :
       data == nullptr || data->elements() == nullptr ? Json::Array() : *data->elements()) {
    if (!reached) {
      reached = text_at(one, "uuid") == cursor;
      continue;
    }
    if (text_at(one, "updated_at") < since) continue;
    if (!status.empty() && text_at(one, "status") != status) continue;
    if (migrations.elements()->size() == limit) {
      next = text_at(migrations.elements()->back(), "uuid");
      break;
    }
    migrations.push(one);
  }
  if (!reached) return ToolMisuse{"cursor: must be the next_cursor of the page before"};
  return ToolResult{.structured = Json::object(
                        {{"migrations", std::move(migrations)}, {"next_cursor", std::move(next)}}),
                    .failure = {}};
}

Outcome get_migration(const Json& arguments, const ApiDoor& api) {
  Fields fields(arguments, "");
  const std::string id = read_reference(fields, "migration_id");
  const bool verbose = fields.boolean("verbose").value_or(false);
  if (const auto error = fields.finish()) return ToolMisuse{error->message()};
  return result_of(api("GET", path_of(id), {{"verbose", verbose ? "true" : "false"}}, kNoBody));
}

// Resources that are to be attached: [{"id", …}]; what stands beside the id is the body.
bool attach(const std::string& id, const char* what, const Json* resources, const ApiDoor& api,
            ToolResult& failed) {
  if (resources == nullptr || resources->elements() == nullptr) return true;
  for (const Json& resource : *resources->elements()) {
    const std::string name = text_at(resource, "id");
    Json body = resource;
    if (std::string_view(what) == "interlay") body.erase("id");
    const ApiOutcome outcome =
        api("POST", path_of(id, "/" + std::string(what) + "/" + name), {}, body);
    if (succeeded(outcome)) continue;
    failed = failure_of(outcome);
    return false;
  }
  return true;
}

Outcome define_migration(const Json& arguments, const ApiDoor& api) {
  Fields fields(arguments, "");
  const std::string id = read_reference(fields, "id");
  Json definition = arguments;
  for (const char* member : {"description", "strategy", "data", "failure_handling", "guardrails"}) {
    fields.optional(member);
  }
  for (const char* list : {"apis", "interlays"}) {
    const Json* resources = fields.optional(list);
    definition.erase(list);
    if (resources == nullptr) continue;
    if (resources->elements() == nullptr) {
      fields.complain(list, "must be an array");
      continue;
    }
    for (const Json& resource : *resources->elements()) {
      const std::string name = text_at(resource, "id");
      if (name.empty() || name.find('/') != name.npos) fields.complain(list, "each has an id");
    }
  }
  if (const auto error = fields.finish()) return ToolMisuse{error->message()};
  const ApiOutcome created = api("POST", "/migrations", {}, definition);
  if (!succeeded(created)) return failure_of(created);
  ToolResult failed;
  if (!attach(id, "interlay", arguments.find("interlays"), api, failed) ||
      !attach(id, "api", arguments.find("apis"), api, failed)) {
    const ApiOutcome removed = api("DELETE", path_of(id), {}, kNoBody);
    failed.failure += succeeded(removed) ? "; nothing was defined"
                                         : "; the migration is there, without what is missing";
    return failed;
  }
  return result_of(api("GET", path_of(id), {}, kNoBody));
}

Outcome run_migration(const Json& arguments, const ApiDoor& api, const ToolProgress& progress) {
  Fields fields(arguments, "");
  const std::string id = read_reference(fields, "migration_id");
  const std::string mode = fields.required_string("mode", kWordMax);
  const bool wait = fields.boolean("wait").value_or(false);
  if (mode != "test" && mode != "migrate")
    fields.complain("mode", "must be \"test\" or \"migrate\"");
  if (const auto error = fields.finish()) return ToolMisuse{error->message()};
  if (mode == "test") return result_of(api("POST", path_of(id, "/test"), {}, kNoBody));
  constexpr int kSteps = 2;
  progress(0, kSteps, "testing both sides, and putting the strategy in force");
  const ApiOutcome started =
      api("POST", path_of(id, "/migrate"), {{"wait", wait ? "true" : "false"}}, kNoBody);
  if (!succeeded(started)) return failure_of(started);
  progress(1, kSteps, "the strategy is in force");
  const ApiOutcome status = api("GET", path_of(id, "/status"), {}, kNoBody);
  Json result = Json::object({{"result", text_at(started.body, "data")}});
  if (const Json* epoch = started.body.find("epoch")) result.set("epoch", *epoch);
  if (const Json* data = status.body.find("data")) result.set("status", text_at(*data, "status"));
  progress(kSteps, kSteps, "done");
  return ToolResult{.structured = std::move(result), .failure = {}};
}

Outcome update_migration(const Json& arguments, const ApiDoor& api) {
  Fields fields(arguments, "");
  const std::string id = read_reference(fields, "migration_id");
  for (const char* member : {"description", "strategy", "data", "failure_handling", "guardrails"}) {
    fields.optional(member);
  }
  if (const auto error = fields.finish()) return ToolMisuse{error->message()};
  Json changes = arguments;
  changes.erase("migration_id");
  return result_of(api("PATCH", path_of(id), {}, changes));
}

Outcome command(const char* verb, const Json& arguments, const ApiDoor& api) {
  Fields fields(arguments, "");
  const std::string id = read_reference(fields, "migration_id");
  if (const auto error = fields.finish()) return ToolMisuse{error->message()};
  return result_of(api("POST", path_of(id, "/" + std::string(verb)), {}, kNoBody));
}

}  // namespace

Outcome call_tool(const std::string& name, const Json& arguments, const ApiDoor& api,
                  const ToolProgress& progress) {
  const Json given = arguments.is_null() ? Json::object({}) : arguments;
  if (name == "list_migrations") return list_migrations(given, api);
  if (name == "get_migration") return get_migration(given, api);
  if (name == "define_migration") return define_migration(given, api);
  if (name == "run_migration") return run_migration(given, api, progress);
  if (name == "update_migration") return update_migration(given, api);
  for (const char* verb : {"pause", "resume", "rollback", "complete"}) {
    if (name == std::string(verb) + "_migration") return command(verb, given, api);
  }
  return ToolMisuse{"there is no tool of that name: tools/list names them"};
}

}  // namespace crossfade
