// Loading and reloading certificates.
#include "control/service/certificates.h"

#include <spdlog/spdlog.h>

#include "control/definitions/tls.h"
#include "control/json/fields.h"

namespace crossfade {

namespace {

// "endpoints[2].config" of the resource of that id; its id where it is not declared.
template <class Specs>
std::string place_of(const Specs& declared, const char* list, const std::string& id) {
  for (std::size_t i = 0; i < declared.size(); ++i) {
    if (declared[i].id == id) return join_path(list, i);
  }
  return id;
}

Status judge(const Status& loaded, const Identity& identity) {
  if (loaded) return success();
  if (identity.origin == Origin::File) {
    return Error{Errc::BadConfig, "", loaded.error().reason};
  }
  spdlog::error("{}; its connections fail until that is mended and SIGHUP is sent",
                loaded.error().reason);
  return success();
}

template <class Tls>
void reload(const Tls& tls, const std::string& whose) {
  if (!tls) return;
  const Result<TlsLoad> loaded = tls.end->load();
  if (!loaded) {
    spdlog::error("{}: certificates not reloaded, the former ones stay: {}", whose,
                  loaded.error().message());
  } else if (loaded.value() == TlsLoad::New) {
    spdlog::info("{}: new certificates are in use", whose);
  }
}

template <class Resource>
bool has_end(const ById<Resource>& resources, const std::string& uuid, const auto& end_of,
             const void* end) {
  const auto found = resources.find(uuid);
  return found != resources.end() && end_of(*found->second) == end;
}

}  // namespace

Status load_certificates(const State& before, const State& next,
                         const DeclaredResources& declared) {
  const auto end_of_endpoint = [](const Endpoint& one) { return one.address.tls.end.get(); };
  for (const auto& [uuid, endpoint] : next.endpoints) {
    if (has_end(before.endpoints, uuid, end_of_endpoint, end_of_endpoint(*endpoint))) continue;
    const Identity& identity = endpoint->identity;
    const std::string place = place_of(declared.endpoints, "endpoints", identity.id);
    const Status loaded = load_tls(endpoint->address.tls, place + ".config.tls");
    if (Status good = judge(loaded, identity); !good) return good;
  }
  const auto end_of_interlay = [](const InterlayDefinition& one) { return one.tls.end.get(); };
  for (const auto& [uuid, interlay] : next.interlays) {
    if (has_end(before.interlays, uuid, end_of_interlay, end_of_interlay(*interlay))) continue;
    const Identity& identity = interlay->identity;
    const std::string place = place_of(declared.interlays, "interlays", identity.id);
    const Status loaded = load_tls(interlay->tls, place + ".tls");
    if (Status good = judge(loaded, identity); !good) return good;
  }
  return success();
}

void reload_certificates(const State& state) {
  for (const auto& [uuid, endpoint] : state.endpoints) {
    reload(endpoint->address.tls, "endpoint " + endpoint->identity.id);
  }
  for (const auto& [uuid, interlay] : state.interlays) {
    reload(interlay->tls, "interlay " + interlay->identity.id);
  }
}

void reload_certificate(const PortTls& tls, const std::string& whose) { reload(tls, whose); }

}  // namespace crossfade
