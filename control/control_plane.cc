// Wires the parts of the control plane by hand, in the order in which they depend on each other.
#include "control/control_plane.h"

#include <spdlog/spdlog.h>

#include "control/http/api.h"
#include "control/http/server.h"
#include "control/metrics.h"
#include "control/service/boot.h"
#include "control/service/housekeeper.h"
#include "control/store/store.h"

namespace crossfade {

struct ControlPlane::Parts {
  Parts(ProcessConfig process_config, DataPlane plane, Prober prober)
      : config(std::move(process_config)),
        data_plane(std::move(plane)),
        servers(std::move(prober)) {}

  // Everything that needs the store; made once that is open.
  struct Running {
    Running(Parts& parts, std::unique_ptr<Store> opened)
        : store(std::move(opened)),
          keeper(*store, parts.data_plane, parts.servers, parts.config.interlay_defaults),
          listeners(parts.data_plane, parts.config.drain_ms),
          new_only_writes(*store, keeper, parts.data_plane),
          endpoints(keeper, parts.servers),
          interlays(keeper, parts.servers, listeners),
          migrations(keeper, *store, interlays, new_only_writes, parts.data_plane),
          conductor(keeper, parts.servers, new_only_writes),
          housekeeper(keeper, parts.servers, new_only_writes),
          api({endpoints, interlays, migrations, conductor},
              {.not_ready = [this] { return not_ready(); },
               .metrics = [&parts](const auto& answered) { return parts.metrics(answered); }},
              parts.config.tokens, parts.config.limits.probes_token,
              parts.config.limits.metrics_token),
          http({.body_max = parts.config.limits.body_max,
                .request_timeout_ms = parts.config.limits.request_timeout_ms,
                .connections_max = parts.config.limits.connections_max},
               api.handlers()) {}

    std::string not_ready() const {
      if (keeper.confirmed()) return {};
      return "an event loop has not taken the routing table over";
    }

    BootParts boot_parts(Servers& known) {
      return {keeper, known, listeners, new_only_writes, conductor};
    }

    std::unique_ptr<Store> store;
    Keeper keeper;
    Listeners listeners;
    NewOnlyWrites new_only_writes;
    Endpoints endpoints;
    Interlays interlays;
    Migrations migrations;
    Conductor conductor;
    Housekeeper housekeeper;
    Api api;
    HttpServer http;  // last: its threads use all the others, and end first
  };

  std::string metrics(const std::map<int, std::uint64_t>& answered) const {
    return render_metrics(data_plane.telemetry(), {.version = config.version,
                                                   .instance = config.instance,
                                                   .region = config.region,
                                                   .requests = answered});
  }

  ProcessConfig config;
  const DataPlane data_plane;
  Servers servers;
  std::unique_ptr<Running> running;
  std::uint16_t port = 0;
};

ControlPlane::ControlPlane(ProcessConfig config, DataPlane data_plane, Prober prober)
    : parts_(std::make_unique<Parts>(std::move(config), std::move(data_plane), std::move(prober))) {
}

ControlPlane::~ControlPlane() { stop(); }

Status ControlPlane::start() {
  auto store = Store::open(parts_->config.state_path);
  if (!store) return store.error();
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
  auto fresh = load_process_config(parts_->config.flags, process_environment());
  if (!fresh) return fresh.error();
  if (Status status = redeclare(parts_->running->boot_parts(parts_->servers), fresh->declared);
      !status) {
    return status;
  }
  parts_->running->api.set_tokens(fresh->tokens);
  spdlog::set_level(spdlog::level::from_str(fresh->log_level));
  const ProcessConfig& now = parts_->config;
  if (fresh->control_host != now.control_host || fresh->control_port != now.control_port ||
      fresh->state_path != now.state_path || fresh->loops != now.loops ||
      fresh->instance != now.instance || fresh->region != now.region ||
      fresh->drain_ms != now.drain_ms || !(fresh->limits == now.limits) ||
      !(fresh->interlay_defaults == now.interlay_defaults)) {
    spdlog::warn(
        "reload: settings other than tokens, log level and declared resources have changed "
        "and need a restart");
  }
  spdlog::info("reload: {} endpoints, {} interlays and {} tokens are declared",
               fresh->declared.endpoints.size(), fresh->declared.interlays.size(),
               fresh->tokens.size());
  return success();
}

void ControlPlane::drain() {
  if (parts_->running != nullptr) parts_->running->api.drain();
}

void ControlPlane::stop() {
  if (parts_->running == nullptr) return;
  parts_->running->http.stop();
  parts_->running->housekeeper.stop();
  parts_->running.reset();
}

}  // namespace crossfade
