// The loop's thread, its inbox, adoption of tables, the tick, and the burial of ended sessions.
#include "proxy/loop.h"

#include <cassert>
#include <utility>

namespace crossfade {

Loop::Loop(SharedWritesRegistry& shared, postgres::Shared& postgres, const Comparison& comparison)
    : read_buffer_(new char[kReadBuffer]),
      kept_pairs_(comparison.limits),
      compare_door_(comparison.door),
      shared_writes_(shared),
      postgres_(postgres) {}

Loop::~Loop() { assert(!thread_.joinable()); }

Status Loop::start() {
  if (uv_loop_init(&loop_) != 0) return Error{Errc::System, "start event loop", "uv_loop_init"};
  auto* wake = new uv_async_t;
  const int error = uv_async_init(&loop_, wake, [](uv_async_t* handle) {
    auto* self = static_cast<Loop*>(handle->data);
    if (!self) return;
    std::vector<std::function<void()>> tasks;
    {
      std::lock_guard lock(self->inbox_mutex_);
      tasks.swap(self->inbox_);
    }
    for (auto& task : tasks) {
      task();
      self->bury();
    }
  });
  if (error != 0) {
    delete wake;
    return Error{Errc::System, "start event loop", uv_err_name(error)};
  }
  wake->data = this;
  wake_.reset(wake);
  auto* tick = new uv_timer_t;
  uv_timer_init(&loop_, tick);
  tick->data = this;
  tick_.reset(tick);
  thread_ = std::thread([this] { run(); });
  return success();
}

void Loop::run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
  const int error = uv_loop_close(&loop_);
  assert(error == 0);
  static_cast<void>(error);
}

void Loop::stop() {
  post([this] {
    stopping_ = true;
    for (auto& interlay : interlays_) interlay->abort();
    bury();
    interlays_.clear();
    {
      std::lock_guard lock(inbox_mutex_);
      inbox_closed_ = true;
    }
    wake_.reset();
    tick_.reset();
  });
  thread_.join();
}

void Loop::post(std::function<void()> task) {
  std::lock_guard lock(inbox_mutex_);
  if (inbox_closed_) return;
  inbox_.push_back(std::move(task));
  uv_async_send(wake_.get());
}

void Loop::adopt(TablePtr next, const std::vector<Interlay::Counted>& counted) {
  assert(next->interlays.size() == counted.size());
  std::erase_if(interlays_, [&](const std::unique_ptr<Interlay>& have) {
    for (const auto& route : next->interlays) {
      if (route->id == have->id()) return false;
    }
    have->abort();
    bury();
    return true;
  });
  for (std::size_t i = 0; i < next->interlays.size(); ++i) {
    const InterlayRoutePtr& route = next->interlays[i];
    if (Interlay* have = find(route->id)) {
      have->set_route(route, counted[i].apis);
    } else {
      interlays_.push_back(std::make_unique<Interlay>(*this, route, counted[i]));
    }
  }
  table_ = std::move(next);
  adopted_.store(table_->epoch, std::memory_order_release);
}

Interlay* Loop::find(const std::string& interlay) {
  for (auto& have : interlays_) {
    if (have->id() == interlay) return have.get();
  }
  return nullptr;
}

void Loop::mark_busy(Session& session) {
  if (session.busy_) return;
  session.busy_ = true;
  session.next_busy_ = busy_;
  busy_ = &session;
  if (!ticking_ && tick_) {
    ticking_ = uv_timer_start(
                   tick_.get(),
                   [](uv_timer_t* handle) {
                     if (auto* self = static_cast<Loop*>(handle->data)) self->on_tick();
                   },
                   kTickMs, kTickMs) == 0;
  }
}

void Loop::on_tick() {
  const std::uint64_t now_ns = uv_hrtime();
  // Sessions may join the list while it is walked: they join the new one.
  Session* session = std::exchange(busy_, nullptr);
  while (session) {
    Session* next = session->next_busy_;
    session->busy_ = false;
    if (!session->dead_ && session->on_tick(now_ns) && !session->dead_) mark_busy(*session);
    session = next;
  }
  bury();
  if (!busy_) {
    uv_timer_stop(tick_.get());
    ticking_ = false;
  }
}

void Loop::kill(Session& session) {
  if (session.dead_) return;
  session.dead_ = true;
  dead_.push_back(&session);
}

void Loop::bury() {
  while (!dead_.empty()) {
    Session* session = dead_.back();
    dead_.pop_back();
    if (session->busy_) {
      for (Session** link = &busy_; *link; link = &(*link)->next_busy_) {
        if (*link == session) {
          *link = session->next_busy_;
          break;
        }
      }
    }
    delete session;
  }
}

}  // namespace crossfade
