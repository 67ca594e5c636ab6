// Boot and SIGHUP.
#include "control/service/boot.h"

#include <spdlog/spdlog.h>

#include <functional>
#include <vector>

#include "control/service/certificates.h"
#include "control/service/declared.h"
#include "control/service/housekeeper.h"

namespace crossfade {

namespace {

// Steps already taken, and how each is undone; undone in reverse unless kept.
class Undo {
 public:
  ~Undo() {
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) (*step)();
  }
  void add(std::function<void()> step) { steps_.push_back(std::move(step)); }
  void keep() { steps_.clear(); }

 private:
  std::vector<std::function<void()>> steps_;
};

// Notes the port that was bound, where the definition left it open.
void note_port(State& state, const InterlayDefinition& interlay, std::uint16_t port) {
  if (interlay.port == port) return;
  InterlayDefinition bound = interlay;
  bound.port = port;
  put(state.interlays, std::move(bound));
}

// Opens and moves ports from what is open to what `next` wants; nothing is closed for good yet.
Status open_ports(Listeners& listeners, const State& before, State& next, Undo& undo) {
  const ById<InterlayDefinition> wanted = next.interlays;
  for (const auto& [uuid, interlay] : wanted) {
    if (!interlay->running) continue;
    const std::string& id = interlay->identity.id;
    const auto former = before.interlays.find(uuid);
    if (!listeners.is_open(id)) {
      auto port = listeners.open(*interlay);
      if (!port) return port.error();
      undo.add([&listeners, id] { listeners.close(id); });
      note_port(next, *interlay, *port);
    } else if (former != before.interlays.end() &&
               (former->second->port != interlay->port || former->second->bind != interlay->bind)) {
      auto port = listeners.move(*former->second, *interlay);
      if (!port) return port.error();
      undo.add([&listeners, from = former->second, to = interlay] {
        if (const auto back = listeners.move(*to, *from); !back) {
          spdlog::error("interlay {}: {}", from->identity.id, back.error().message());
        }
      });
      note_port(next, *interlay, *port);
    }
  }
  return success();
}

// Closes the ports of interlays that `next` does not have.
void close_ports(Listeners& listeners, const State& before, const State& next, Undo& undo) {
  for (const auto& [uuid, interlay] : before.interlays) {
    if (next.interlays.contains(uuid) || !listeners.is_open(interlay->identity.id)) continue;
    listeners.close(interlay->identity.id);
    undo.add([&listeners, interlay = interlay] {
      if (const auto back = listeners.open(*interlay); !back) {
        spdlog::error("interlay {}: {}", interlay->identity.id, back.error().message());
      }
    });
  }
}

// `next`, and what of `before` it no longer has: under its table every port of either can be open.
State union_of(const State& before, const State& next) {
  State both = next;
  both.endpoints.insert(before.endpoints.begin(), before.endpoints.end());
  both.interlays.insert(before.interlays.begin(), before.interlays.end());
  return both;
}

Status take_up(BootParts parts, const DeclaredResources& declared) {
  Keeper::Turn turn = parts.keeper.begin();
  const StatePtr restored = parts.keeper.state();
  if (Status status = reconcile(turn.next, declared); !status) return status;
  if (Status status = load_certificates({}, turn.next, declared); !status) return status;
  learn_from_servers(turn.next, parts.servers);
  for (const auto& [uuid, interlay] : turn.next.interlays) {
    const Endpoint& endpoint = *turn.next.endpoints.at(interlay->endpoint);
    if (endpoint.address.kind != EndpointKind::Redis) continue;  // it has said so itself
    if (parts.servers.knows_commands_of(endpoint)) continue;
    spdlog::warn(
        "endpoint {}: does not tell its commands yet, the built-in table serves interlay {}",
        endpoint.identity.id, interlay->identity.id);
  }
  if (Status status = parts.keeper.commit(turn); !status) return status;
  Undo undo;
  if (Status status = open_ports(parts.listeners, *restored, turn.next, undo); !status) {
    return status;
  }
  if (Status status = parts.keeper.make_durable(turn); !status) return status;
  undo.keep();
  parts.keeper.show(turn);
  return success();
}

}  // namespace

Status boot(BootParts parts, const DeclaredResources& declared) {
  if (Status status = parts.keeper.restore(); !status) return status;
  if (Status status = parts.new_only_writes.restore(); !status) return status;
  parts.dual_writes.restore();
  if (Status status = take_up(parts, declared); !status) return status;
  parts.conductor.finish_rollbacks();
  return success();
}

Status redeclare(BootParts parts, const DeclaredResources& declared) {
  Keeper::Turn turn = parts.keeper.begin();
  const StatePtr before = parts.keeper.state();
  if (Status status = reconcile(turn.next, declared); !status) return status;
  if (Status status = load_certificates(*before, turn.next, declared); !status) return status;
  Undo undo;
  undo.add([&] {
    if (const Status status = parts.keeper.put_in_force(*before); !status) {
      spdlog::error("reload: the former table is not confirmed: {}", status.error().message());
    }
  });
  const State both = union_of(*before, turn.next);
  if (Status status = parts.keeper.put_in_force(both); !status) return status;
  // Closed before others are opened: a port may go from one interlay to another.
  close_ports(parts.listeners, *before, turn.next, undo);
  if (Status status = open_ports(parts.listeners, *before, turn.next, undo); !status) return status;
  if (Status status = parts.keeper.make_durable(turn); !status) return status;
  undo.keep();
  if (const Status status = parts.keeper.put_in_force(turn.next); !status) {
    spdlog::warn("reload: routes that are gone are still known to a loop that does not answer: {}",
                 status.error().message());
  }
  for (const auto& [uuid, endpoint] : before->endpoints) {
    if (!turn.next.endpoints.contains(uuid)) parts.servers.forget(uuid);
  }
  parts.keeper.show(turn);
  return success();
}

}  // namespace crossfade
