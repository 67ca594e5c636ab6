// Wires the parts of the control plane by hand, in the order in which they depend on each other.
#include "control/control_plane.h"

#include <spdlog/spdlog.h>

#include <cassert>

#include "control/definitions/tls.h"
#include "control/http/api.h"
#include "control/http/server.h"
#include "control/ledger/ledger.h"
#include "control/log.h"
#include "control/metrics.h"
#include "control/service/boot.h"
#include "control/service/catalog_watch.h"
#include "control/service/certificates.h"
#include "control/service/divergence.h"
#include "control/service/dual_writes.h"
#include "control/service/guard.h"
#include "control/service/housekeeper.h"
#include "control/service/repairs.h"
#include "control/service/timekeeper.h"
#include "control/service/verifications.h"
#include "control/service/watched_servers.h"
#include "control/store/state_file.h"
#include "strategies/server_pair.h"

namespace crossfade {

namespace {

EntryRules entry_rules(const ControlLimits& limits) {
  return {.probes_token = limits.probes_token,
          .metrics_token = limits.metrics_token,
          .failures = {.rate = {.at_once = limits.token_failures_max,
                                .per_minute = limits.token_failures_per_minute},
                       .peers_max = limits.failing_peers_max},
          .refusals_logged_per_minute = limits.refusals_logged_per_minute};
}

}  // namespace

struct ControlPlane::Parts {
  Parts(ProcessConfig process_config, DataPlane plane, Prober prober, Verifier compares)
      : config(std::move(process_config)),
        data_plane(std::move(plane)),
        servers(std::move(prober)),
        verifier(std::move(compares)),
        ledger(std::make_shared<Ledger>(
            LedgerOptions{.limits = {.entries_max = config.ledger_max}, .steady_ms = {}})) {}

  // Everything that needs the store; made once that is open.
  struct Running {
    Running(Parts& parts, std::unique_ptr<StateFile> opened)
        : store(std::move(opened)),
          keeper(*store, parts.data_plane, parts.servers, parts.config.interlay_defaults,
                 {.instance = parts.config.instance, .region = parts.config.region}),
          listeners(parts.data_plane, parts.config.drain_ms),
          new_only_writes(*store, keeper, parts.data_plane),
          dual_writes(*parts.ledger, keeper, parts.servers, parts.data_plane),
          endpoints(keeper, parts.servers),
          interlays(keeper, parts.servers, listeners, new_only_writes, parts.auth),
          templates(keeper),
          apis(keeper),
          verifications(keeper, *parts.ledger, parts.servers, parts.verifier),
          conductor(keeper, parts.servers, new_only_writes, *parts.ledger, parts.data_plane),
          guard(*store, keeper, conductor, parts.servers, new_only_writes, *parts.ledger,
                parts.data_plane, monotonic_clock(), system_dice()),
          migrations(keeper, *store, interlays, new_only_writes, *parts.ledger, verifications,
                     parts.servers, parts.data_plane, guard),
          divergence(keeper, *parts.ledger, verifications, parts.mismatches),
          repairs(keeper, *parts.ledger),
          watched_servers(keeper, *parts.ledger),
          housekeeper(keeper, parts.servers, new_only_writes, dual_writes, listeners, *store),
          timekeeper(*store, keeper, conductor, system_clock(), monotonic_clock(),
                     [this](const Migration& migration) { return guard.may_go_on(migration); }),
          catalog_watch(keeper, parts.servers, parts.bell,
                        std::chrono::milliseconds(parts.config.catalog_ms)),
          api({endpoints, interlays, templates, apis, migrations, conductor, divergence,
               verifications},
              {.not_ready = [this] { return not_ready(); },
               .state_problem = [this] { return state_problem(); },
               .metrics = [&parts](const auto& figures) { return parts.metrics(figures); }},
              parts.config.tokens, entry_rules(parts.config.limits), parts.config.version),
          http({.body_max = parts.config.limits.body_max,
                .request_timeout_ms = parts.config.limits.request_timeout_ms,
                .connections_max = parts.config.limits.connections_max},
               api.handlers(), parts.config.control_tls.end) {}

    std::string not_ready() const {
      if (!keeper.confirmed()) return "an event loop has not taken the routing table over";
      if (!listeners.any_kept_closed()) return {};
      const StatePtr state = keeper.state();
      for (const auto& [uuid, interlay] : state->interlays) {
        const auto why = listeners.why_closed(interlay->identity.id);
        if (why) return "interlay '" + interlay->identity.id + "' does not listen: " + *why;
      }
      return {};
    }

    // Traffic does not hang on it.
    std::string state_problem() const {
      const std::string unstored = keeper.unstored();
      if (!unstored.empty()) return "what is in force is not stored: " + unstored;
      const auto failure = store->failure();
      return failure ? "the state file can not be written: " + *failure : std::string();
    }

    BootParts boot_parts(Servers& known) {
      return {keeper, known, listeners, new_only_writes, dual_writes, conductor};
    }

    std::unique_ptr<StateFile> store;
    Keeper keeper;
    Listeners listeners;
    NewOnlyWrites new_only_writes;
    DualWrites dual_writes;
    Endpoints endpoints;
    Interlays interlays;
    Templates templates;
    Apis apis;
    Verifications verifications;
    Conductor conductor;
    Guard guard;
    Migrations migrations;
    Divergence divergence;
    Repairs repairs;
    WatchedServers watched_servers;
    Housekeeper housekeeper;
    Timekeeper timekeeper;
    CatalogWatch catalog_watch;
    Api api;
    HttpServer http;  // last: its threads use all the others, and end first
  };

  std::string metrics(const ApiFigures& figures) const {
    return render_metrics(data_plane.telemetry(),
                          {.version = config.version,
                           .instance = config.instance,
                           .region = config.region,
                           .requests = figures.answered,
                           .ledger = ledger->figures(),
                           .token_failures = figures.token_failures,
                           .guard = running->guard.figures(),
                           .state_unstored = !running->keeper.unstored().empty(),
                           .state_not_written = running->store->failure().has_value()});
  }

  ProcessConfig config;
  const DataPlane data_plane;
  Servers servers;
  const Verifier verifier;
  Mismatches mismatches;
  AuthDoor auth;
  const std::shared_ptr<Ledger> ledger;  // the doors have it too, and may outlive this
  const std::shared_ptr<CatalogBell> bell = std::make_shared<CatalogBell>();  // likewise
  std::unique_ptr<Running> running;
  std::uint16_t port = 0;
};

ControlPlane::ControlPlane(ProcessConfig config, DataPlane data_plane, Prober prober,
                           Verifier verifier)
    : parts_(std::make_unique<Parts>(std::move(config), std::move(data_plane), std::move(prober),
                                     std::move(verifier))) {}

ControlPlane::~ControlPlane() { stop(); }

Status ControlPlane::start() {
  if (Status loaded = load_tls(parts_->config.control_tls, "control.tls"); !loaded) {
    return Error{Errc::BadConfig, "", loaded.error().reason};
  }
  auto store = StateFile::open(parts_->config.state_path);
  if (!store) return store.error();
  if (Status status = parts_->ledger->open((*store)->beside("-ledger")); !status) return status;
  parts_->running = std::make_unique<Parts::Running>(*parts_, std::move(*store));
  Parts::Running& running = *parts_->running;
  // Before the ports of interlays: a control port that is taken is found out while nothing has
  // happened, and whoever watches sees "starting" instead of nothing.
  auto port = running.http.start(parts_->config.control_host, parts_->config.control_port);
  if (!port) return port.error();
  parts_->port = *port;
  if (parts_->config.tokens.empty()) {
    spdlog::warn(
        "no token is declared, so every call under /api/v1 is refused: declare one under "
        "\"tokens\" "
        "in the configuration file, or set CROSSFADE_ADMIN_TOKEN");
  }
  if (Status status = boot(running.boot_parts(parts_->servers), parts_->config.declared); !status) {
    return status;
  }
  running.housekeeper.start();
  running.catalog_watch.start();
  running.guard.start();
  running.timekeeper.start();
  running.api.enter(Api::Phase::Ready);
  const StatePtr state = running.keeper.state();
  spdlog::info("control: {} endpoints, {} interlays, {} migrations, table {} in force, API on {}",
               state->endpoints.size(), state->interlays.size(), state->migrations.size(),
               running.keeper.epoch(), address());
  return success();
}

std::string ControlPlane::address() const {
  const std::string& host = parts_->config.control_host;
  const bool ipv6 = host.find(':') != host.npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(parts_->port);
}

Status ControlPlane::reload() {
  if (parts_->running == nullptr) return success();
  // First, and each for itself: a mistake elsewhere must not let a certificate run out.
  reload_certificate(parts_->config.control_tls, "control port");
  reload_certificates(*parts_->running->keeper.state());
  auto fresh = load_process_config(parts_->config.flags, process_environment());
  if (!fresh) return fresh.error();
  if (Status status = redeclare(parts_->running->boot_parts(parts_->servers), fresh->declared);
      !status) {
    return status;
  }
  parts_->running->api.set_tokens(fresh->tokens);
  set_log(fresh->log_level, fresh->log_format);
  const ProcessConfig& now = parts_->config;
  if (fresh->control_host != now.control_host || fresh->control_port != now.control_port ||
      !(fresh->control_tls == now.control_tls) || fresh->state_path != now.state_path ||
      fresh->loops != now.loops || fresh->instance != now.instance || fresh->region != now.region ||
      fresh->drain_ms != now.drain_ms || fresh->ledger_max != now.ledger_max ||
      fresh->evictions_ms != now.evictions_ms || fresh->catalog_ms != now.catalog_ms ||
      !(fresh->compare == now.compare) || !(fresh->limits == now.limits) ||
      !(fresh->interlay_defaults == now.interlay_defaults)) {
    spdlog::warn(
        "reload: settings other than tokens, log and declared resources have changed "
        "and need a restart");
  }
  spdlog::info("reload: {} endpoints, {} interlays and {} tokens are declared",
               fresh->declared.endpoints.size(), fresh->declared.interlays.size(),
               fresh->tokens.size());
  return success();
}

LedgerDoor ControlPlane::ledger_door() {
  const std::shared_ptr<Ledger> ledger = parts_->ledger;
  return {.note =
              [ledger](const InterlayRoute& route, std::vector<Suspect> suspects,
                       std::function<void(bool)> durable) {
                for (Suspect& suspect : suspects) suspect.at.pair = route.pair;
                return ledger->note(route.migration, suspects, std::move(durable));
              },
          .renote =
              [ledger](const InterlayRoute& route, std::int32_t db, std::string_view key,
                       Doubt doubt, Side right) {
                return ledger->renote(route.migration, route.pair, db, key, doubt, right);
              },
          .note_all =
              [ledger](const InterlayRoute& route, const std::string& why,
                       std::function<void(bool)> durable) {
                return ledger->note_all(route.migration, why, std::move(durable));
              },
          .swap =
              [ledger](const InterlayRoute& route, std::int32_t one_db, std::int32_t other_db,
                       std::function<void(bool)> durable) {
                return ledger->swap(route.migration, route.pair, one_db, other_db,
                                    std::move(durable));
              },
          .suspects =
              [ledger](const InterlayRoute& route, std::int32_t db, std::string_view key) {
                return ledger->suspects(route.migration, route.pair, db, key);
              },
          .right_of =
              [ledger](const InterlayRoute& route, std::int32_t db, std::string_view key) {
                return ledger->right_of(route.migration, route.pair, db, key);
              },
          .suspected =
              [ledger](const InterlayRoute& route) { return ledger->suspected(route.migration); },
          .any =
              [size = ledger->size(), doubtful = ledger->doubtful()] {
                return size->load(std::memory_order_relaxed) > 0 ||
                       doubtful->load(std::memory_order_relaxed) > 0;
              }};
}

CatalogDoor ControlPlane::catalog_door() {
  return {.changed = [bell = parts_->bell](
                         const std::string& interlay,
                         const postgres::Redefined& what) { bell->ring(interlay, what); },
          .unread = [bell = parts_->bell](
                        const std::string& interlay) { return bell->unread(interlay); }};
}

RepairDoors ControlPlane::repair_doors() {
  assert(parts_->running != nullptr);
  Repairs& repairs = parts_->running->repairs;
  return {.due = [&repairs](std::size_t max) { return repairs.due(max); },
          .settle = [&repairs](const RepairTask& task, RepairOutcome outcome,
                               const std::string& why) { repairs.settle(task, outcome, why); },
          .hold = {},
          .right =
              [ledger = parts_->ledger](const RepairTask& task) {
                const std::uint64_t pair = pair_of(task.old_side, task.new_side);
                return ledger->right_of(task.migration, pair, task.at.db, task.at.key)
                    .value_or(task.right);
              },
          .expires = {},
          .ghosts = {},
          .fenced = {},
          .may_copy = {},
          .rest = {},
          .wake = {}};
}

WatchDoors ControlPlane::watch_doors() {
  assert(parts_->running != nullptr);
  WatchedServers& watched = parts_->running->watched_servers;
  return {.servers = [&watched] { return watched.all(); },
          .saw = [&watched](const WatchedServer& server,
                            const ServerSight& sight) { watched.saw(server, sight); }};
}

void ControlPlane::show_mismatches(Mismatches mismatches) {
  parts_->mismatches = std::move(mismatches);
}

void ControlPlane::set_auth_door(AuthDoor door) { parts_->auth = std::move(door); }

void ControlPlane::drain() {
  if (parts_->running == nullptr) return;
  parts_->running->api.drain();
  parts_->running->verifications.stop();
}

void ControlPlane::stop() {
  if (parts_->running == nullptr) return;
  parts_->running->http.stop();
  parts_->running->verifications.stop();
  parts_->running->timekeeper.stop();
  parts_->running->guard.stop();
  parts_->running->catalog_watch.stop();
  parts_->running->housekeeper.stop();
  parts_->ledger->stop(Ledger::End::Clean);
  parts_->running.reset();
}

}  // namespace crossfade
