// Exchanges: what one planned request still owes to the client and is still owed by the servers.
//
// An exchange stands in its session's reply queue until the client has its answer, and in the owed
// queue of each upstream that has not replied yet; it lives until it stands in none. Neighbouring
// plain requests to one upstream share one exchange with a count, so a deep pipeline costs one
// slot.
#pragma once

#include <xxhash.h>

#include <array>
#include <cassert>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/redis/command.h"
#include "proxy/kept_bytes.h"
#include "proxy/redis/connection_state.h"
#include "strategies/plan.h"

namespace crossfade::redis {

struct DualWrite;
struct KeptPair;

// Hash of a reply that may come in pieces; the common reply in one piece needs no hash state.
class ReplyHash {
 public:
  void add(std::string_view piece, bool last) {
    if (!stream_ && last) {
      set(XXH3_64bits(piece.data(), piece.size()));
      return;
    }
    if (!stream_) {
      stream_.reset(XXH3_createState());
      XXH3_64bits_reset(stream_.get());
    }
    XXH3_64bits_update(stream_.get(), piece.data(), piece.size());
    if (last) {
      set(XXH3_64bits_digest(stream_.get()));
      stream_.reset();
    }
  }
  bool done() const { return value_ != 0; }
  std::uint64_t value() const { return value_; }
  void reset() {
    stream_.reset();
    value_ = 0;
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  void set(std::uint64_t value) { value_ = value == 0 ? 1 : value; }
  std::unique_ptr<XXH3_state_t, Free> stream_;
  std::uint64_t value_ = 0;  // 0: not done
};

// The part of an exchange that one assignment resets. Small: a full pipeline has 65,536 of them.
struct ExchangeFields {
  // What the reply is, as far as finding its end goes.
  enum class Form : std::uint8_t {
    Reply,   // one frame per count
    PubSub,  // `frames` confirmations, or one error
    Raw      // everything from here on, until the connection ends
  };

  std::uint64_t sent_at_ns = 0;
  DualWrite* dual = nullptr;  // of a dual write; of questions of ours: the one they are asked for
  std::uint32_t count = 1;
  std::uint32_t second_count = 1;  // replies that the second leg still gets
  std::uint32_t writes = 0;        // of `count`, at most: what changes data as soon as it is run
  std::uint32_t gate = 0;          // sync, identity: opened by the last reply
  std::int32_t frames =
      0;  // PubSub: confirmations to come; -1 until the reply's turn, when it is known
  Side answer = Side::Old;
  Form form = Form::Reply;
  Kind kind = Kind::Other;
  Effect effect = Effect::None;
  Second second = Second::Nothing;
  bool internal : 1 = false;       // ours, not the client's: the reply is consumed
  bool sync : 1 = false;           // internal: brings the connection to the session's state
  bool entry_probe : 1 = false;    // internal: asks whether this client may enter
  bool identity : 1 = false;       // internal: asks who the connection is
  bool asks : 1 = false;           // internal: questions about a dual write
  bool either : 1 = false;         // best_effort
  bool fallback : 1 = false;       // may be asked of the other side; `request` holds its bytes
  bool spare_lost : 1 = false;     // the second leg's reply was too big to be kept
  bool is_repeatable : 1 = false;  // counted in the session's repeatable reads
  bool compare : 1 = false;
  bool unkept : 1 = false;      // there was no room to keep its request and replies
  bool blocks : 1 = false;      // no time limit, and nothing overtakes it on the other side
  bool moves : 1 = false;       // EXEC: where it runs, the connection's state changes
  bool ran_beside : 1 = false;  // the second leg's reply is neither an error nor null
  bool queued : 1 = false;      // stands in the reply queue
  bool started : 1 = false;     // bytes of the answer are on their way to the client
  bool answered : 1 = false;    // the answer is complete (maybe still held)
  bool special : 1 = false;     // not plain(): never shared by a run
  bool relies : 1 = false;      // writes that rely on the ledger: see RepairRest
  bool former : 1 = false;      // written to one side, while writes go to both by the newest table
  std::array<bool, kSides> failed{};   // that side's reply was an error reply
  std::array<bool, kSides> replied{};  // that side's reply is complete
  std::uint8_t owed = 0;               // bit per side: stands in that owed queue

  bool is_data_write() const { return kind == Kind::Write && effect == Effect::None; }

  // The side whose reply the client is waiting for.
  Side awaited() const {
    const bool failed_here = either && !started && replied[static_cast<std::size_t>(answer)];
    return failed_here ? other(answer) : answer;
  }
};

struct Exchange : ExchangeFields {
  Exchange* next = nullptr;                   // reply queue
  std::array<Exchange*, kSides> owed_next{};  // owed queue of each side
  std::string held;     // answer bytes that wait for their turn (or for the other leg, best_effort)
  std::string spare;    // best_effort: the second leg's reply, until the answer's outcome is known
  std::string request;  // fallback, blocks
  std::unique_ptr<StateChange> change;
  KeptPair* kept = nullptr;  // for as long as its replies may turn out to differ
  std::array<ReplyHash, kSides> hash;

  bool both_hashed() const { return hash[0].done() && hash[1].done(); }
  // Both replies are whole, and not the same bytes.
  bool hashes_differ() const { return both_hashed() && hash[0].value() != hash[1].value(); }
};

constexpr std::uint8_t bit(Side side) {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(side));
}

// Exchanges of one loop, reused; strings keep a small capacity, so a steady load allocates nothing.
class ExchangePool {
 public:
  Exchange* get() {
    if (free_.empty()) {
      blocks_.push_back(std::make_unique<std::array<Exchange, kBlock>>());
      for (Exchange& exchange : *blocks_.back()) free_.push_back(&exchange);
    }
    Exchange* exchange = free_.back();
    free_.pop_back();
    return exchange;
  }
  void put(Exchange* exchange) {
    assert(!exchange->queued && exchange->owed == 0 && !exchange->kept);
    empty(exchange->held, kKeepCapacity);
    if (exchange->special) {
      empty(exchange->spare, kKeepCapacity);
      empty(exchange->request, kKeepCapacity);
      exchange->change.reset();
      for (ReplyHash& hash : exchange->hash) hash.reset();
    }
    static_cast<ExchangeFields&>(*exchange) = ExchangeFields{};
    free_.push_back(exchange);
  }

 private:
  static constexpr std::size_t kBlock = 64;
  static constexpr std::size_t kKeepCapacity = 1024;
  std::vector<std::unique_ptr<std::array<Exchange, kBlock>>> blocks_;
  std::vector<Exchange*> free_;
};

// First in, first out, linked through the exchanges themselves.
class ReplyQueue {
 public:
  Exchange* front() const { return front_; }
  Exchange* back() const { return back_; }
  bool empty() const { return !front_; }
  std::size_t size() const { return size_; }
  void push(Exchange* exchange) {
    exchange->queued = true;
    exchange->next = nullptr;
    (back_ ? back_->next : front_) = exchange;
    back_ = exchange;
    ++size_;
  }
  Exchange* pop() {
    Exchange* exchange = front_;
    front_ = exchange->next;
    if (!front_) back_ = nullptr;
    exchange->queued = false;
    --size_;
    return exchange;
  }

 private:
  Exchange* front_ = nullptr;
  Exchange* back_ = nullptr;
  std::size_t size_ = 0;
};

class OwedQueue {
 public:
  explicit OwedQueue(Side side) : side_(side) {}
  Exchange* front() const { return front_; }
  Exchange* back() const { return back_; }
  bool empty() const { return !front_; }
  void push(Exchange* exchange) {
    exchange->owed = static_cast<std::uint8_t>(exchange->owed | bit(side_));
    link(exchange) = nullptr;
    (back_ ? link(back_) : front_) = exchange;
    back_ = exchange;
  }
  const Exchange* after(const Exchange* exchange) const {
    return exchange->owed_next[static_cast<std::size_t>(side_)];
  }
  Exchange* pop() {
    Exchange* exchange = front_;
    front_ = link(exchange);
    if (!front_) back_ = nullptr;
    exchange->owed = static_cast<std::uint8_t>(exchange->owed & ~bit(side_));
    return exchange;
  }

 private:
  Exchange*& link(Exchange* exchange) const {
    return exchange->owed_next[static_cast<std::size_t>(side_)];
  }
  Exchange* front_ = nullptr;
  Exchange* back_ = nullptr;
  Side side_;
};

}  // namespace crossfade::redis
