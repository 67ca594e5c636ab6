// Migrations from JSON, and to the store and back.
#include "control/definitions/migration.h"

namespace crossfade {

namespace {

constexpr std::uint32_t kRetriesMax = 1000;
constexpr std::uint32_t kRetriesDefault = 3;

const char* name_of(DataMovement::Type type) {
  switch (type) {
    case DataMovement::Type::None:
      return "none";
    case DataMovement::Type::Snapshot:
      return "snapshot";
    case DataMovement::Type::Scan:
      return "scan";
  }
  return "none";
}

const char* name_of(DataMovement::Replace replace) {
  switch (replace) {
    case DataMovement::Replace::None:
      return "none";
    case DataMovement::Replace::Replace:
      return "replace";
    case DataMovement::Replace::Merge:
      return "merge";
  }
  return "none";
}

const char* name_of(FailureHandling::Type type) {
  switch (type) {
    case FailureHandling::Type::RollbackAll:
      return "rollback_all";
    case FailureHandling::Type::RetryThenAll:
      return "retry_then_all";
    case FailureHandling::Type::AllowPartial:
      return "allow_partial";
  }
  return "rollback_all";
}

// Sets `into` to the value that is named so; false when there is none.
template <class Word, std::size_t N>
bool choose(const std::string& name, const Word (&words)[N], Word& into) {
  for (const Word word : words) {
    if (name == name_of(word)) {
      into = word;
      return true;
    }
  }
  return false;
}

constexpr DataMovement::Type kDataTypes[] = {DataMovement::Type::None, DataMovement::Type::Snapshot,
                                             DataMovement::Type::Scan};
constexpr DataMovement::Replace kReplaces[] = {
    DataMovement::Replace::None, DataMovement::Replace::Replace, DataMovement::Replace::Merge};
constexpr FailureHandling::Type kFailureTypes[] = {FailureHandling::Type::RollbackAll,
                                                   FailureHandling::Type::RetryThenAll,
                                                   FailureHandling::Type::AllowPartial};

// null | "none" | {"type", "replace"?}
Result<DataMovement> read_data(const Json& json, const std::string& path) {
  if (json.is_null()) return DataMovement{};
  if (const std::string* word = json.string()) {
    if (*word == "none") return DataMovement{};
    return error_at(path, "must be null, \"none\" or an object with a type");
  }
  Fields fields(json, path);
  DataMovement data;
  if (!choose(fields.required_string("type", kWordMax), kDataTypes, data.type)) {
    fields.complain("type", "must be none, snapshot or scan");
  }
  if (const auto replace = fields.string("replace", kWordMax)) {
    if (!choose(*replace, kReplaces, data.replace)) {
      fields.complain("replace", "must be none, replace or merge");
    }
  }
  if (auto error = fields.finish()) return *error;
  return data;
}

// null | "rollback_all" | "allow_partial" | {"type", "retry_count"?}
Result<FailureHandling> read_failure_handling(const Json& json, const std::string& path) {
  static constexpr const char* kWords = "must be rollback_all, retry_then_all or allow_partial";
  if (json.is_null()) return FailureHandling{};
  FailureHandling failure;
  if (const std::string* word = json.string()) {
    if (!choose(*word, kFailureTypes, failure.type)) return error_at(path, kWords);
    if (failure.type == FailureHandling::Type::RetryThenAll) failure.retry_count = kRetriesDefault;
    return failure;
  }
  Fields fields(json, path);
  if (!choose(fields.required_string("type", kWordMax), kFailureTypes, failure.type)) {
    fields.complain("type", kWords);
  }
  const auto retries = fields.whole("retry_count", 0, kRetriesMax);
  if (failure.type == FailureHandling::Type::RetryThenAll) {
    failure.retry_count = static_cast<std::uint32_t>(retries.value_or(kRetriesDefault));
  } else if (retries) {
    fields.complain("retry_count", "belongs to retry_then_all only");
  }
  if (auto error = fields.finish()) return *error;
  return failure;
}

constexpr const char* kOursToSay =
    "becomes true when the sidecar executes the migration, in its window; leave it out, or false";

bool executed(const StrategySpec& strategy) {
  const auto* window = std::get_if<TimeWindowSpec>(&strategy);
  return window != nullptr && window->executed;
}

// The members that POST and PATCH share; absent ones stay as they are.
void read_members(Fields& fields, MigrationSpec& spec) {
  if (fields.optional("description") != nullptr) {
    spec.description = fields.string("description", kDescriptionMax).value_or("");
  }
  if (const Json* data = fields.optional("data")) {
    fields.take(read_data(*data, "data"), spec.data);
  }
  if (const Json* failure = fields.optional("failure_handling")) {
    fields.take(read_failure_handling(*failure, "failure_handling"), spec.failure_handling);
  }
  if (const Json* guardrails = fields.optional("guardrails")) {
    fields.take(read_guardrails(*guardrails, "guardrails"), spec.guardrails);
  }
}

}  // namespace

Result<MigrationSpec> read_migration(const Json& body) {
  Fields fields(body, "");
  MigrationSpec spec;
  spec.id = read_id(fields, "id");
  read_members(fields, spec);
  if (const Json* strategy = fields.optional("strategy")) {
    fields.take(read_strategy(*strategy, "strategy"), spec.strategy);
  }
  if (executed(spec.strategy)) fields.take(error_at("strategy.executed", kOursToSay));
  if (auto error = fields.finish()) return *error;
  return spec;
}

Result<MigrationSpec> patch_migration(const MigrationSpec& spec, const Json& body) {
  Fields fields(body, "");
  MigrationSpec patched = spec;
  const auto id = fields.string("id", kIdMax);
  if (id && *id != spec.id) fields.complain("id", "can not be changed");
  read_members(fields, patched);
  if (const Json* strategy = fields.optional("strategy")) {
    fields.take(patch_strategy(spec.strategy, *strategy, "strategy"), patched.strategy);
  }
  if (!fields.failed() && executed(spec.strategy) != executed(patched.strategy)) {
    const bool leaves = !std::holds_alternative<TimeWindowSpec>(patched.strategy);
    if (!leaves) fields.take(error_at("strategy.executed", kOursToSay));
  }
  if (auto error = fields.finish()) return *error;
  return patched;
}

Json render(const DataMovement& data) {
  if (data.type == DataMovement::Type::None) return "none";
  return Json::object({{"type", name_of(data.type)}, {"replace", name_of(data.replace)}});
}

Json render(const FailureHandling& failure_handling) {
  if (failure_handling.type != FailureHandling::Type::RetryThenAll) {
    return name_of(failure_handling.type);
  }
  return Json::object(
      {{"type", name_of(failure_handling.type)}, {"retry_count", failure_handling.retry_count}});
}

Json to_stored(const Migration& migration) {
  Json stored = Json::object({});
  store_identity(migration.identity, stored);
  stored.set("description", migration.spec.description);
  stored.set("strategy", render(migration.spec.strategy));
  stored.set("data", render(migration.spec.data));
  stored.set("failure_handling", render(migration.spec.failure_handling));
  stored.set("guardrails", render(migration.spec.guardrails));
  stored.set("status", name_of(migration.status));
  Json bindings = Json::array();
  for (const Binding& binding : migration.bindings) {
    bindings.push(Json::object({{"interlay", binding.interlay},
                                {"endpoint", binding.endpoint},
                                {"taken_back", binding.taken_back}}));
  }
  stored.set("bindings", std::move(bindings));
  stored.set("reason", migration.reason);
  stored.set("forced", migration.forced);
  Json apis = Json::array();
  for (const ApiBinding& binding : migration.apis) {
    apis.push(
        Json::object({{"api", binding.api}, {"bindings", stored_bindings(binding.bindings)}}));
  }
  stored.set("apis", std::move(apis));
  return stored;
}

Result<Migration> migration_from_stored(const Json& stored) {
  Fields fields(stored, "migration");
  Migration migration;
  migration.identity = stored_identity(fields);
  migration.spec.id = migration.identity.id;
  read_members(fields, migration.spec);
  if (const Json* strategy = fields.required("strategy")) {
    fields.take(read_strategy(*strategy, "strategy"), migration.spec.strategy);
  }
  const auto status = migration_status(fields.required_string("status", kWordMax));
  if (!status) fields.complain("status", "is not a known status");
  migration.reason = fields.string("reason", kReasonMax).value_or("");
  migration.forced = fields.boolean("forced").value_or(false);
  const Json* bindings = fields.required("bindings");
  if (bindings != nullptr && bindings->elements() != nullptr) {
    for (const Json& element : *bindings->elements()) {
      Fields binding(element, "migration.bindings");
      const std::string interlay = binding.required_string("interlay", kIdMax);
      const std::string endpoint = binding.required_string("endpoint", kIdMax);
      const bool taken_back = binding.boolean("taken_back").value_or(false);
      if (auto error = binding.finish()) fields.take(*error);
      migration.bindings.push_back({interlay, endpoint, taken_back});
    }
  }
  const Json* apis = fields.optional("apis");
  if (apis != nullptr && apis->elements() != nullptr) {
    for (const Json& element : *apis->elements()) {
      Fields binding(element, "migration.apis");
      ApiBinding api{.api = binding.required_string("api", kIdMax), .bindings = {}};
      if (const Json* templates = binding.required("bindings")) {
        binding.take(read_bindings(*templates, "migration.apis.bindings"), api.bindings);
      }
      if (auto error = binding.finish()) fields.take(*error);
      migration.apis.push_back(std::move(api));
    }
  }
  if (auto error = fields.finish()) return *error;
  migration.status = *status;
  return migration;
}

}  // namespace crossfade
