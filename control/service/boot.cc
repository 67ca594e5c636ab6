// Boot and SIGHUP.
#include "control/service/boot.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "control/service/audit.h"
#include "control/service/certificates.h"
#include "control/service/declared.h"
#include "control/service/housekeeper.h"
#include "control/service/regions_change.h"

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

// Closes a port that is open; undone by opening it.
void close_port(Listeners& listeners, const InterlayPtr& interlay, Undo& undo) {
  listeners.close(interlay->identity.id);
  undo.add([&listeners, interlay] {
    if (const auto back = listeners.open(*interlay); !back) {
      spdlog::error("interlay {}: {}", interlay->identity.id, back.error().message());
    }
  });
}

// An open interlay that is to listen elsewhere.
struct Move {
  InterlayPtr from;
  InterlayPtr to;
};

bool is_any(const std::string& bind) { return bind == "0.0.0.0" || bind == "::"; }

// `to` of one can not be opened as long as `from` of the other is.
bool waits_for(const Move& move, const Move& other) {
  return move.to->identity.uuid != other.from->identity.uuid && move.to->port == other.from->port &&
         (move.to->bind == other.from->bind || is_any(move.to->bind) || is_any(other.from->bind));
}

// Moves them, each when the port that it goes to is free. Where they trade theirs in a ring, one
// of them is closed first, and its sessions end; it is opened with those that are not open.
Status move_ports(Listeners& listeners, std::vector<Move> moves, State& next, Undo& undo) {
  while (!moves.empty()) {
    const auto free = std::ranges::find_if(moves, [&](const Move& move) {
      return std::ranges::none_of(moves, [&](const Move& other) { return waits_for(move, other); });
    });
    if (free == moves.end()) {
      close_port(listeners, moves.back().from, undo);
      moves.pop_back();
      continue;
    }
    const auto [from, to] = *free;
    moves.erase(free);
    auto port = listeners.move(*from, *to);
    if (!port) return port.error();
    undo.add([&listeners, from = from, to = to] {
      if (const auto back = listeners.move(*to, *from); !back) {
        spdlog::error("interlay {}: {}", from->identity.id, back.error().message());
      }
    });
    note_port(next, *to, *port);
  }
  return success();
}

// Opens and moves ports from what is open to what `next` wants; nothing is closed for good yet.
Status open_ports(Listeners& listeners, const State& before, State& next, Undo& undo) {
  const ById<InterlayDefinition> wanted = next.interlays;
  std::vector<Move> moves;
  for (const auto& [uuid, interlay] : wanted) {
    const auto former = before.interlays.find(uuid);
    if (!interlay->running || !listeners.is_open(interlay->identity.id) ||
        former == before.interlays.end() ||
        (former->second->port == interlay->port && former->second->bind == interlay->bind)) {
      continue;
    }
    moves.push_back({former->second, interlay});
  }
  if (Status status = move_ports(listeners, std::move(moves), next, undo); !status) return status;
  for (const auto& [uuid, interlay] : wanted) {
    const std::string& id = interlay->identity.id;
    if (!interlay->running || listeners.is_open(id)) continue;
    const auto former = before.interlays.find(uuid);
    InterlayPtr waits;  // for its port since the start
    if (former != before.interlays.end() && listeners.why_closed(id)) waits = former->second;
    if (waits != nullptr && waits->port == interlay->port && waits->bind == interlay->bind) {
      continue;  // that is no fault of this reading
    }
    auto port = listeners.open(*interlay);
    if (!port) return port.error();
    undo.add([&listeners, id, waits] {
      listeners.close(id);
      if (waits != nullptr) (void)listeners.open_if_free(*waits);
    });
    note_port(next, *interlay, *port);
  }
  return success();
}

// Opens all ports that are to be open, those that are free.
void open_free_ports(Listeners& listeners, State& next, Undo& undo) {
  const ById<InterlayDefinition> wanted = next.interlays;
  for (const auto& [uuid, interlay] : wanted) {
    const std::string& id = interlay->identity.id;
    if (!interlay->running || listeners.is_open(id)) continue;
    const auto port = listeners.open_if_free(*interlay);
    if (!port) continue;
    undo.add([&listeners, id] { listeners.close(id); });
    note_port(next, *interlay, *port);
  }
}

// Closes the ports of interlays that `next` does not have.
void close_ports(Listeners& listeners, const State& before, const State& next, Undo& undo) {
  for (const auto& [uuid, interlay] : before.interlays) {
    if (next.interlays.contains(uuid) || !listeners.is_open(interlay->identity.id)) continue;
    close_port(listeners, interlay, undo);
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
  if (Status status = reconcile(turn.next, declared, parts.keeper.self()); !status) return status;
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
  const StatePtr before = parts.keeper.state();
  (void)journal_regions(turn, *before, parts.new_only_writes, kOurselves);
  if (Status status = parts.keeper.commit(turn); !status) return status;
  log_declared(*before, turn.next);
  Undo undo;
  open_free_ports(parts.listeners, turn.next, undo);
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

void open_late_ports(Keeper& keeper, Listeners& listeners) {
  if (!listeners.any_kept_closed()) return;
  Keeper::Turn turn = keeper.begin();
  Undo undo;
  open_free_ports(listeners, turn.next, undo);
  if (turn.next.interlays == keeper.state()->interlays) {
    undo.keep();
    return;
  }
  // Its port was any free one, which is its own from now on.
  if (const Status status = keeper.commit(turn); status) {
    undo.keep();
  } else {
    spdlog::warn("a port that was opened late is closed again: {}", status.error().message());
  }
}

Status redeclare(BootParts parts, const DeclaredResources& declared) {
  Keeper::Turn turn = parts.keeper.begin();
  const StatePtr before = parts.keeper.state();
  if (Status status = reconcile(turn.next, declared, parts.keeper.self()); !status) return status;
  if (Status status = load_certificates(*before, turn.next, declared); !status) return status;
  (void)journal_regions(turn, *before, parts.new_only_writes, kOurselves);
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
  log_declared(*before, turn.next);
  for (const auto& [uuid, endpoint] : before->endpoints) {
    if (!turn.next.endpoints.contains(uuid)) parts.servers.forget(uuid);
  }
  parts.keeper.show(turn);
  return success();
}

}  // namespace crossfade
