// One event loop: a libuv loop and the only thread that touches what lives on it.
//
// Other threads reach it through post() alone. It holds the routing table that it has adopted, the
// interlays of that table, and what its sessions share: the read buffer, the scratch cutter, the
// pool of exchanges. No lock is taken on the request path.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "protocols/base/result.h"
#include "protocols/redis/request.h"
#include "proxy/interlay.h"
#include "proxy/postgres/api_scratch.h"
#include "proxy/postgres/known_keys.h"
#include "proxy/postgres/shared.h"
#include "proxy/redis/dual_write.h"
#include "proxy/redis/exchange.h"
#include "proxy/redis/kept_pair.h"
#include "proxy/session.h"
#include "proxy/shared_writes.h"
#include "proxy/tls_scratch.h"
#include "proxy/uv_owner.h"
#include "strategies/ports.h"
#include "strategies/table.h"

namespace crossfade {

inline constexpr unsigned kKeepaliveSeconds = 30;
inline constexpr std::uint64_t kTickMs = 20;
inline constexpr std::size_t kReadBuffer = 256 * 1024;  // shared by all connections of a loop

class Loop {
 public:
  Loop(SharedWritesRegistry& shared, postgres::Shared& postgres, const Comparison& comparison);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  Status start();
  // Ends every session and the thread. Call once, after the interlays were drained.
  void stop();

  // Any thread: runs `task` on the loop's thread, in order of posting; never, once the loop has
  // ended.
  void post(std::function<void()> task);

  // Below: the loop's thread only.
  uv_loop_t* uv() { return &loop_; }
  uv_buf_t read_buffer() { return uv_buf_init(read_buffer_.get(), kReadBuffer); }
  TlsScratch& tls() { return tls_; }
  redis::RequestCutter& cutter() { return cutter_; }
  redis::ExchangePool& exchanges() { return exchanges_; }
  redis::DualWritePool& dual_writes() { return dual_writes_; }
  redis::KeptPairs& kept_pairs() { return kept_pairs_; }
  const CompareDoor& compare_door() const { return compare_door_; }
  std::vector<std::string_view>& args() { return args_; }  // scratch
  std::string& rendered() { return rendered_; }            // likewise: one request
  SharedWritesRegistry& shared_writes() { return shared_writes_; }
  postgres::Shared& postgres() { return postgres_; }
  postgres::KnownKeys& known_keys() { return known_keys_; }
  postgres::ApiScratch& api_scratch() { return api_scratch_; }

  void adopt(TablePtr next, const std::vector<Interlay::Counted>& counted);
  std::uint64_t adopted_epoch() const { return adopted_.load(std::memory_order_acquire); }
  Interlay* find(const std::string& interlay);

  void mark_busy(Session& session);
  void kill(Session& session);  // deleted by the next bury()
  void bury();

 private:
  void run();
  void on_tick();

  uv_loop_t loop_{};
  std::thread thread_;
  UvOwner<uv_async_t> wake_;
  UvOwner<uv_timer_t> tick_;
  bool ticking_ = false;
  bool stopping_ = false;

  std::mutex inbox_mutex_;
  std::vector<std::function<void()>> inbox_;  // guarded by inbox_mutex_
  bool inbox_closed_ = false;                 // guarded by inbox_mutex_

  std::unique_ptr<char[]> read_buffer_;
  TlsScratch tls_{kReadBuffer};
  redis::RequestCutter cutter_;
  redis::ExchangePool exchanges_;
  redis::DualWritePool dual_writes_;
  redis::KeptPairs kept_pairs_;
  const CompareDoor compare_door_;
  std::vector<std::string_view> args_;
  std::string rendered_;
  SharedWritesRegistry& shared_writes_;
  postgres::Shared& postgres_;
  postgres::KnownKeys known_keys_;
  postgres::ApiScratch api_scratch_;
  TablePtr table_;
  std::atomic<std::uint64_t> adopted_{0};
  std::vector<std::unique_ptr<Interlay>> interlays_;
  Session* busy_ = nullptr;
  std::vector<Session*> dead_;
};

}  // namespace crossfade
