// From rows that servers told to catalogs, and what is said of them.
#include "control/service/catalogs.h"

#include <spdlog/spdlog.h>

#include <utility>
#include <vector>

#include "protocols/postgres/sql_catalog_learn.h"

namespace crossfade {

namespace {

constexpr const char* kCost =
    "only PostgreSQL's own functions and system catalogs are known: every statement with another "
    "name counts as a write";

// Why nobody can be asked; null: somebody can.
const char* unasked(const Endpoint& endpoint) {
  if (endpoint.address.database.empty()) {
    return "the endpoint names no database: give its config one";
  }
  if (endpoint.address.username.empty()) {
    return "the endpoint names no user to ask as: give its config a username";
  }
  return nullptr;
}

std::vector<postgres::SqlCatalogRow> views_of(const CatalogRows& rows) {
  std::vector<postgres::SqlCatalogRow> views;
  views.reserve(rows.size());
  for (const auto& [what, schema, name, mark, detail] : rows) {
    views.push_back({what, schema, name, mark, detail});
  }
  return views;
}

// A server that answers and does not tell is not believed any more; one that does not answer
// changes nothing.
bool outlives(Errc code) { return code == Errc::Unavailable || code == Errc::Timeout; }

}  // namespace

bool Catalogs::read(const Endpoint& endpoint, std::uint32_t timeout_ms, std::stop_token stop) {
  if (endpoint.address.kind != EndpointKind::Postgres || unasked(endpoint) != nullptr) return true;
  if (!prober_.catalog) return true;
  return note(endpoint, prober_.catalog(endpoint.address, timeout_ms, std::move(stop)));
}

bool Catalogs::note(const Endpoint& endpoint, Result<CatalogRows> told) {
  const std::lock_guard held(mutex_);
  Known& known = known_[endpoint.identity.uuid];
  if (!(known.address == endpoint.address)) known = Known{.address = endpoint.address};
  if (!told) {
    std::string why = told.error().message();
    if (why != known.why) {
      spdlog::warn("endpoint {}: its catalog is not read, {}: {}", endpoint.identity.id,
                   known.rows != nullptr && outlives(told.error().code)
                       ? "what it told before serves"
                       : kCost,
                   why);
    }
    if (!outlives(told.error().code)) known.rows = nullptr;
    known.why = std::move(why);
    return known.rows == nullptr;
  }
  known.why.clear();
  known.read_at = now_rfc3339();
  if (known.rows != nullptr && *known.rows == *told) return true;
  spdlog::info("endpoint {}: {} its catalog of database {}: {} rows", endpoint.identity.id,
               known.rows == nullptr ? "told" : "has changed", endpoint.address.database,
               told->size());
  known.changed_at = known.read_at;
  known.rows = std::make_shared<const CatalogRows>(std::move(*told));
  return true;
}

const Catalogs::Known* Catalogs::known_of(const Endpoint& endpoint) const {
  const auto found = known_.find(endpoint.identity.uuid);
  if (found == known_.end() || !(found->second.address == endpoint.address)) return nullptr;
  return &found->second;
}

bool Catalogs::knows(const Endpoint& endpoint) const {
  if (endpoint.address.kind != EndpointKind::Postgres || unasked(endpoint) != nullptr) return true;
  const std::lock_guard held(mutex_);
  const Known* known = known_of(endpoint);
  return known != nullptr && known->rows != nullptr;
}

std::shared_ptr<const postgres::SqlCatalog> Catalogs::make(const Known& known,
                                                           const InterlayDefinition& interlay) {
  if (known.rows == nullptr) return nullptr;
  Made& made = known.made[interlay.identity.uuid];
  if (made.of == known.rows && made.names == interlay.sql) return made.catalog;
  auto learned = postgres::learn_sql_catalog(views_of(*known.rows), declared_by(interlay.sql));
  if (!learned) {
    spdlog::warn("interlay {}: {}, {}", interlay.identity.id, learned.error().message(), kCost);
  }
  made = {
      .of = known.rows, .names = interlay.sql, .catalog = learned ? std::move(*learned) : nullptr};
  return made.catalog;
}

CatalogOfDatabase Catalogs::of(const InterlayDefinition& interlay, const Endpoint& endpoint) const {
  if (endpoint.address.kind != EndpointKind::Postgres) return {};
  const std::lock_guard held(mutex_);
  const Known* known = known_of(endpoint);
  auto catalog = known == nullptr ? nullptr : make(*known, interlay);
  if (catalog == nullptr) return {.catalog = postgres::SqlCatalog::built_in(), .database = {}};
  return {.catalog = std::move(catalog), .database = endpoint.address.database};
}

Json Catalogs::shown(const InterlayDefinition& interlay, const Endpoint& endpoint) const {
  if (endpoint.address.kind != EndpointKind::Postgres) return {};
  const std::lock_guard held(mutex_);
  const Known* known = known_of(endpoint);
  const bool learned = known != nullptr && make(*known, interlay) != nullptr;
  std::string why = known == nullptr ? std::string() : known->why;
  if (const char* nobody = unasked(endpoint)) why = nobody;
  if (!learned && why.empty()) why = "the server was not asked yet";
  if (!learned) why += std::string("; until then ") + kCost;
  const auto when = [&](std::string Known::*member) {
    return known == nullptr || (known->*member).empty() ? Json() : Json(known->*member);
  };
  return Json::object({{"source", learned ? "server" : "built_in"},
                       {"database", learned ? Json(endpoint.address.database) : Json()},
                       {"read_at", when(&Known::read_at)},
                       {"changed_at", when(&Known::changed_at)},
                       {"why", why.empty() ? Json() : Json(why)}});
}

void Catalogs::forget(const std::string& endpoint) {
  const std::lock_guard held(mutex_);
  known_.erase(endpoint);
}

void Catalogs::drop_unused(const State& state) {
  const std::lock_guard held(mutex_);
  for (auto& [uuid, known] : known_) {
    std::erase_if(known.made,
                  [&](const auto& one) { return !state.interlays.contains(one.first); });
  }
}

}  // namespace crossfade
