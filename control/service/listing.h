// Answers that all sorts of resources give alike.
#pragma once

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "control/answer.h"
#include "control/state.h"

namespace crossfade {

// All resources, oldest first (to the second, then by id), each as `shown` has it.
template <class Resource, class Shown>
Reply list_of(const ById<Resource>& resources, Shown&& shown) {
  std::vector<const Resource*> ordered;
  for (const auto& [uuid, resource] : resources) ordered.push_back(resource.get());
  std::sort(ordered.begin(), ordered.end(), [](const Resource* one, const Resource* other) {
    const Identity& a = one->identity;
    const Identity& b = other->identity;
    return std::tie(a.created_at, a.id) < std::tie(b.created_at, b.id);
  });
  Json data = Json::array();
  for (const Resource* resource : ordered) data.push(shown(*resource));
  return Reply{.data = std::move(data)};
}

inline Refusal already_exists(const char* what, const std::string& id) {
  return conflict(std::string(what) + " '" + id + "' already exists");
}

inline Refusal changed_meanwhile(const char* what, const std::string& id) {
  return conflict(std::string(what) + " '" + id +
                  "' was changed by another call at the same time: read it again and retry");
}

inline Refusal interlay_held() {
  return conflict("Interlay Schema already has an active migration");
}

inline Refusal api_held() { return conflict("Api Schema already has an active migration"); }

inline Reply deleted(const Identity& identity) {
  return Reply{.data =
                   Json::object({{"id", identity.id}, {"uuid", identity.uuid}, {"deleted", true}})};
}

}  // namespace crossfade
