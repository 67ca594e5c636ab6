// Key patterns of templates against each other, and against what they were.
#include "control/service/moving_keys.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "control/api_entries.h"
#include "control/api_rules.h"
#include "control/features.h"
#include "control/lifecycle.h"
#include "protocols/redis/argument.h"
#include "protocols/redis/template.h"
#include "strategies/api_keys.h"
#include "strategies/plan.h"

namespace crossfade {

namespace {

using Pattern = redis::Template::Argument;

// The patterns of the keys that a template names; nullopt: they are not known.
std::optional<std::vector<Pattern>> keys_of(const std::string& query) {
  auto form = redis::read_template(query);
  const auto places = form ? redis::key_arguments(*form) : std::nullopt;
  if (!places) return std::nullopt;
  std::vector<Pattern> keys;
  for (const std::size_t place : *places) keys.push_back(form->arguments[place]);
  return keys;
}

// A key that nobody has, of that pattern.
std::string sample_of(const Pattern& pattern) {
  std::string key;
  for (const TextPiece& piece : pattern) key += redis::is_field(piece) ? "\1any\1" : piece.text;
  return key;
}

std::optional<std::string> objection_of(const std::vector<AskedTemplate>& asked) {
  std::map<std::vector<std::string>, const AskedTemplate*> moving;  // by shape
  std::set<const TemplateDefinition*> bound;
  std::vector<ApiSet::Entry> entries;
  for (const AskedTemplate& one : asked) {
    entries.push_back(one.entry);
    if (!one.entry.moves) continue;
    bound.insert(one.definition);
    const auto keys = keys_of(one.entry.query);
    if (!keys || keys->empty()) {
      return "the writes of api " + quoted(one.api->identity.id) +
             " would go to new with its keys, and which keys template " +
             quoted(one.definition->identity.id) + " means " +
             (keys ? "it does not say" : "is not known") +
             ": bind templates that name keys, or give write_mode a dual_write with "
             "old_authoritative";
    }
    for (const Pattern& key : *keys) moving.emplace(redis::shape_of(key), &one);
  }
  for (const AskedTemplate& one : asked) {
    if (bound.contains(one.definition)) continue;  // an api that is asked before may have it, too
    const auto keys = keys_of(one.entry.query);
    if (!keys) continue;
    for (const Pattern& key : *keys) {
      const auto same = moving.find(redis::shape_of(key));
      if (same == moving.end()) continue;
      return "template " + quoted(one.definition->identity.id) + " of api " +
             quoted(one.api->identity.id) + " names the same keys as " +
             quoted(same->second->definition->identity.id) +
             ", which move to new with all that is written to them: let both go, or neither (bind "
             "it, or switch its feature on, too)";
    }
  }
  const ApiKeys all(entries);
  for (const auto& [shape, one] : moving) {
    const auto keys = keys_of(one->entry.query);
    const bool idle = std::ranges::any_of(
        *keys, [&](const Pattern& key) { return all.bucket(sample_of(key)) == kBeyond; });
    if (!idle) continue;
    return "template " + quoted(one->definition->identity.id) +
           " would move no key: one that does not move names them all, and is asked before it "
           "(precedence of GET /apis/{id}). Define that one behind it, or bind it, too";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> keys_objection(const State& state, const Migration& migration) {
  std::set<std::string> endpoints;
  for (const ApiBinding& part : migration.apis) {
    endpoints.insert(endpoint_of(state, state.apis.at(part.api)->spec));
  }
  for (const std::string& endpoint : endpoints) {
    auto objection = objection_of(asked_templates(state, migration, endpoint));
    if (objection) return objection;
  }
  return std::nullopt;
}

Status check_moved_keys(const State& before, const State& after, const Migration& migration) {
  const auto known = before.migrations.find(migration.identity.uuid);
  if (known == before.migrations.end() || !routes(known->second->status) ||
      !moves_writes(migration.spec.strategy)) {
    return success();
  }
  for (const Binding& binding : migration.bindings) {
    const std::string& endpoint = before.interlays.at(binding.interlay)->endpoint;
    if (governed_at(before, *known->second, endpoint) != Governed::Apis ||
        keep_moving(api_entries(before, *known->second, endpoint),
                    api_entries(after, migration, endpoint))) {
      continue;
    }
    return Error{
        Errc::Conflict, "",
        "Migration " + quoted(migration.identity.id) +
            " has moved keys by its apis, and some of them would go back to old, or others "
            "to new, without what was written to them: leave the templates of endpoint " +
            quoted(before.endpoints.at(endpoint)->identity.id) +
            "'s apis as they are while it routes, and define new ones behind them"};
  }
  return success();
}

}  // namespace crossfade
