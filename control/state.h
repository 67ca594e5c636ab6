// The state of the control plane: all definitions at one instant, as a value.
//
// Immutable once published to readers; the one writer copies it, changes the copy, and puts it in
// place. Resources are shared between copies, so that two states differ exactly where their
// pointers do.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "control/definitions/api.h"
#include "control/definitions/endpoint.h"
#include "control/definitions/interlay.h"
#include "control/definitions/migration.h"
#include "control/definitions/template.h"
#include "protocols/base/ascii.h"

namespace crossfade {

using EndpointPtr = std::shared_ptr<const Endpoint>;
using InterlayPtr = std::shared_ptr<const InterlayDefinition>;
using TemplatePtr = std::shared_ptr<const TemplateDefinition>;
using ApiPtr = std::shared_ptr<const ApiDefinition>;
using MigrationPtr = std::shared_ptr<const Migration>;

// Resources by uuid.
template <class Resource>
using ById = std::map<std::string, std::shared_ptr<const Resource>, std::less<>>;

struct State {
  ById<Endpoint> endpoints;
  ById<InterlayDefinition> interlays;
  ById<TemplateDefinition> templates;
  ById<ApiDefinition> apis;
  ById<Migration> migrations;
};

using StatePtr = std::shared_ptr<const State>;

// Finds by uuid, in letters of either case, else by id; nullptr when there is none.
//   cost  O(log n) by uuid, O(n) by id; n is small
template <class Resource>
std::shared_ptr<const Resource> find(const ById<Resource>& resources, std::string_view reference) {
  if (const auto found = resources.find(reference); found != resources.end()) return found->second;
  if (looks_like_uuid(reference)) {  // as no id does
    const auto found = resources.find(ascii_lower(std::string(reference)));
    return found == resources.end() ? nullptr : found->second;
  }
  for (const auto& [uuid, resource] : resources) {
    if (resource->identity.id == reference) return resource;
  }
  return nullptr;
}

// Puts a resource in place of the one with its uuid, or adds it.
template <class Resource>
void put(ById<Resource>& resources, Resource resource) {
  std::string uuid = resource.identity.uuid;
  resources[std::move(uuid)] = std::make_shared<const Resource>(std::move(resource));
}

// The migration that has this interlay (uuid) and is not rolled back; nullptr when there is none. A
// rolled-back one may share its interlays with the one that came after it.
MigrationPtr migration_of(const State& state, std::string_view interlay);

// Likewise the one that has this api (uuid).
MigrationPtr migration_of_api(const State& state, std::string_view api);

// This sidecar, as that interlay of it is meant.
Self at_interlay(const State& state, const InterlayDefinition& interlay, Self self);

// True while a migration sends writes to both of its sides.
bool writes_both(const Migration& migration);
// Likewise, and by that engine.
bool writes_both_by(const Migration& migration, Engine engine);

// The binding of an interlay in a migration; nullptr when it takes no part.
const Binding* binding_of(const Migration& migration, std::string_view interlay);

// True when an interlay stands before this endpoint (uuid), or a migration moves to it.
bool in_use(const State& state, std::string_view endpoint);

}  // namespace crossfade
