// Turns of the repair worker, and the connections that it must see gone.
#include "proxy/shared_writes.h"

#include <chrono>
#include <condition_variable>
#include <utility>

namespace crossfade {

namespace {

constexpr std::chrono::milliseconds kNoRestLimit{1'000};

// A turn that a thread waits for.
class AwaitedTurn {
 public:
  AwaitedTurn(std::shared_ptr<SharedWrites> writes, const SuspectKey& at)
      : writes_(std::move(writes)), turn_(&AwaitedTurn::on_granted) {
    turn_.context = this;
    turn_.owner = ~std::uint64_t{0};  // no session's
    turn_.want(at.db, at.key);
  }
  ~AwaitedTurn() { writes_->order.leave(turn_); }
  AwaitedTurn(const AwaitedTurn&) = delete;
  AwaitedTurn& operator=(const AwaitedTurn&) = delete;

  bool take(std::chrono::steady_clock::time_point until) {
    if (writes_->order.take(turn_)) return true;
    std::unique_lock held(mutex_);
    return granted_.wait_until(held, until, [this] { return is_granted_; });
  }

 private:
  static void on_granted(WriteOrder::Turn& turn) {
    auto& self = *static_cast<AwaitedTurn*>(turn.context);
    const std::lock_guard held(self.mutex_);
    self.is_granted_ = true;
    self.granted_.notify_one();
  }

  std::shared_ptr<SharedWrites> writes_;
  WriteOrder::Turn turn_;
  std::mutex mutex_;
  std::condition_variable granted_;
  bool is_granted_ = false;
};

}  // namespace

std::shared_ptr<void> SharedWritesRegistry::hold(const RepairTask& task, std::uint32_t timeout_ms) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  const auto writes = of(task);
  if (writes == nullptr) return std::make_shared<char>();  // nobody writes there
  auto turn = std::make_shared<AwaitedTurn>(writes, task.at);
  return turn->take(until) ? turn : nullptr;
}

std::vector<ServersClient> SharedWritesRegistry::ghosts(const RepairTask& task, Side side) {
  const auto writes = of(task);
  if (writes == nullptr) return {};
  return writes->ghosts[static_cast<std::size_t>(side)].list();
}

void SharedWritesRegistry::fenced(const RepairTask& task, Side side,
                                  const std::vector<ServersClient>& gone) {
  if (const auto writes = of(task)) writes->ghosts[static_cast<std::size_t>(side)].fenced(gone);
}

std::shared_ptr<SharedWrites> SharedWritesRegistry::between(const EndpointAddress& old_side,
                                                            const EndpointAddress& new_side) {
  const std::lock_guard held(mutex_);
  const auto found = by_servers_.find(name_of_pair(old_side, new_side));
  return found == by_servers_.end() ? nullptr : found->second;
}

void SharedWritesRegistry::set_expiry(const RepairTask& task, std::uint64_t at_ms) {
  const auto writes = between(task.old_side, task.new_side);
  if (!writes || writes->expiries.set(task.at.db, task.at.key, at_ms, unix_ms())) return;
  InterlayRoute route;
  route.migration = task.migration;
  if (ledger.note_all) ledger.note_all(route, kExpiriesFull, nullptr);
}

bool SharedWritesRegistry::see_expiry(const EndpointAddress& old_side,
                                      const EndpointAddress& new_side, std::int32_t db,
                                      std::string_view key, std::uint64_t at_ms) {
  const auto writes = between(old_side, new_side);
  return !writes || writes->expiries.see(db, key, at_ms, unix_ms());
}

void SharedWritesRegistry::rest(const RepairTask& task) {
  if (const auto writes = of(task)) writes->rest.begin();
}

bool SharedWritesRegistry::wake(const RepairTask& task, std::uint32_t timeout_ms) {
  const auto writes = of(task);
  return writes == nullptr || writes->rest.end(std::chrono::milliseconds(timeout_ms));
}

SharedWritesRegistry::NoRest::NoRest(SharedWritesRegistry& registry) {
  std::map<std::string, std::vector<std::shared_ptr<SharedWrites>>> by_migration;
  {
    const std::lock_guard held(registry.mutex_);
    by_migration = registry.by_migration_;
  }
  for (const auto& [migration, all] : by_migration) {
    bool ended = true;
    for (const auto& writes : all) {
      ended = writes->rest.forbid(kNoRestLimit) && ended;
      forbidden_.push_back(writes);
    }
    if (ended || !registry.ledger.note_all) continue;
    InterlayRoute route;
    route.migration = migration;
    registry.ledger.note_all(
        route,
        "its strategy was changed while a write that one side had not answered "
        "was in flight and the other side was down",
        nullptr);
  }
}

SharedWritesRegistry::NoRest::~NoRest() {
  for (const auto& writes : forbidden_) writes->rest.allow();
}

}  // namespace crossfade
