// One Redis client: cuts its requests, plans them, sends their legs, returns the answers in order.
//
//   session.cc           birth, death, the client's bytes -> requests
//   session_limits.cc    back-pressure, time limits
//   session_tables.cc    a new table, while something is under way by the former one
//   session_dispatch.cc  a request's plan -> legs on upstreams
//   session_turns.cc     writes to both sides: waiting for their turn
//   session_dual.cc      ... both legs
//   session_ledger.cc    ... how they ended: what the ledger is told, and what it tells
//   session_effects.cc   what commands do to the session: state, pins
//   session_transactions.cc  ... while it has a transaction open
//   session_replies.cc   the servers' replies -> the client, in request order; second legs
//   session_tls.cc       handshakes, with the client and with servers
//   session_compare.cc   whether both sides have answered alike
//   session_raw.cc       handed through as it is: SYNC, malformed bytes
//
// It lives on one loop. Bytes are forwarded from the read buffer; what must wait is copied once.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocols/redis/facts.h"
#include "proxy/interlay.h"
#include "proxy/redis/dual_write.h"
#include "proxy/redis/exchange.h"
#include "proxy/redis/transaction.h"
#include "proxy/redis/upstream.h"
#include "proxy/session.h"
#include "proxy/stream.h"
#include "strategies/migration.h"

namespace crossfade::redis {

// Accepts a pending connection of `listener` as a new session of the interlay.
void accept_session(Interlay& interlay, uv_stream_t* listener);

class RedisSession final : public Session, private StreamOwner {
 public:
  explicit RedisSession(Interlay& interlay);
  ~RedisSession() override;

  bool accept(uv_stream_t* listener);

  bool on_tick(std::uint64_t now_ns) override;
  void on_route() override;
  void drain() override;
  void abort() override;
  std::optional<ClientAddress> client_address() const override { return client_.peer_address(); }

  // From upstreams.
  void on_handshake(Upstream& up, int status);
  void on_connected(Upstream& up);
  void on_lost(Upstream& up, std::string_view reason);
  void on_garbled(Upstream& up);
  void defer_loss(Upstream& up);  // noticed while something else is in progress
  // The next bytes of the reply to `exchange`; `complete` replies of its run end in them, `errors`
  // of those being error replies.
  void on_reply(Upstream& up, Exchange& exchange, std::string_view bytes, std::uint32_t complete,
                std::uint32_t errors);
  void on_push(Upstream& up, std::string_view bytes, bool complete);
  void on_subscription(Upstream& up, const Push& push);
  bool hears_raw(Exchange& exchange, std::string_view bytes);
  // RESP2: may an array that begins now be a message? Only subscribers get those.
  bool awaits_messages(const Exchange* front) const {
    return !front || front->form == Exchange::Form::PubSub || subscriptions_.any();
  }
  std::int32_t confirmations_due(Effect effect) const;
  // From the order of writes: under its lock, on any thread.
  static void on_turn(WriteOrder::Turn& turn);
  void on_upstream_room();
  void begin_event();
  void end_reply_event();
  void flush();
  std::uint64_t now_ns() const { return now_ns_; }
  void count_server_in(std::size_t bytes) { counters().server_in.add(bytes); }

 private:
  // The beginning of a request that has not arrived whole, or requests that must wait.
  struct Partial {
    std::string bytes;
    std::size_t wanted = 0;  // looking again is useless with fewer bytes
    RequestCutter cutter;
  };
  // A big request that is forwarded as it arrives.
  struct Streaming {
    RequestTail tail;
    bool answer;  // its bytes still go to the answering side (false: that leg has failed)
    bool second;
    Side answer_side;
    Exchange* asks = nullptr;  // a dual write whose questions come behind it
  };
  // One request, between cutting and sending.
  struct Pending {
    RequestFacts facts;
    Plan plan;
    std::string_view bytes;                 // all of it, or its beginning when `whole` is false
    std::string_view anew = {};             // as new gets it, where that is not as it is
    std::optional<std::uint32_t> api = {};  // that it is counted for, by the names of route_
    bool foreign = false;  // new can not be given it: it has the keys in another form
    bool whole = true;
    bool relies = false;  // on the ledger, which has all its keys
    bool former = false;  // see Exchange
    Exchange::Form form = Exchange::Form::Reply;
    std::int32_t frames = 0;
    std::unique_ptr<StateChange> change;
  };
  enum class Handled : std::uint8_t { Yes, Stall };
  // Why a session is handed through: bytes behind which the server ends it, or not.
  enum class Handed : std::uint8_t { Malformed, Alive };
  enum class Entered : std::uint8_t { Unknown, Asking, No, Yes };
  // How long a session whose client is gone, or whose side is home no more, may wait for replies.
  static constexpr std::uint64_t kLingerNs = 10'000'000'000;
  static constexpr const char* kFormer =
      "a client that has MULTI or WATCH open, blocks, or was sending a request when writes began "
      "to "
      "go to both sides, wrote to one of them only";
  // A client has sent its end behind a blocking command, and more requests between them. When the
  // command is not answered for this long, it blocks: the server would forget what follows it.
  static constexpr std::uint64_t kBlockedNs = 1'000'000'000;
  // A home connection that was silent for this much longer than the other side's may be replaced.
  static constexpr std::uint64_t kUnheardNs = 1'000'000'000;

  // --- session_tls.cc
  bool secure_client();
  void on_secured(int status);
  bool await_handshake();

  // --- session.cc
  void enter();
  void on_bytes(std::string_view bytes) override;
  void on_end(int status) override;
  void on_room() override;
  void consume(std::string_view bytes, RequestCutter& cutter);
  std::size_t stream_on(std::string_view bytes);
  bool try_streaming(std::string_view bytes, const RequestCutter& cutter);
  // Whether bytes of the big request that is arriving go there.
  bool streams_to(const Upstream& up) const {
    return streaming_ &&
           (streaming_->answer_side == up.side() ? streaming_->answer : streaming_->second);
  }
  void drop_partial();
  void keep(std::string_view rest, RequestCutter& cutter, std::size_t wanted);
  void resume();
  void end_event();
  void close_client();
  // A RESET: behind one that is silent.
  bool waits_for_blocked() const { return blocking_ > 0 || resetting_ > 0; }
  void forget_waiting();
  void finish_upstreams();
  void finish_if_done();
  bool safe_point() const;

  // --- session_tables.cc
  // Where keys lie on the line that a route splits; low above high: there are none.
  struct Buckets {
    std::uint32_t low, high;
    std::optional<std::uint32_t> api = {};  // of the first key that is of one

    bool any() const { return low <= high; }
  };
  static constexpr Buckets kNoKeys{.low = kBeyond, .high = 0, .api = {}};
  bool refresh_route();
  bool take_route_up();
  bool goes_otherwise() const;
  static bool serves(const InterlayRoute& route, const Upstream& up);
  bool tied_to_former_home() const;
  bool blocked_at_former_home() const;
  bool may_block_there(const InterlayRoute& route, const Exchange& blocked) const;
  bool keeps_former_keys() const;
  bool left_behind() const {
    return tied_to_former_home() || blocked_at_former_home() || keeps_former_keys();
  }
  void end_left_behind();
  std::optional<Side> side_of_writes(const InterlayRoute& route, Buckets keys) const;
  bool lost_its_side() const;
  bool loses_watches() const;
  void fail_watches();
  bool is_late(const Exchange& exchange) const;
  void note_late(Exchange& exchange, std::uint32_t done);
  bool stays() const;
  void show_stay(bool stays);

  // --- session_limits.cc
  bool waits_for(Side side) const;
  void update_reading();
  bool check_limits(Upstream& up, std::uint64_t now_ns);

  // --- session_dispatch.cc
  Handled handle(Pending request, const RequestCutter& cutter);
  static bool scans_keyspace(const RequestFacts& facts) {  // its cursors are the server's
    return facts.cursor && facts.key_count == 0;
  }
  Plan plan_for(Pending& request, const RequestCutter& cutter) const;
  bool belongs_to_none_that_moves(Pending& request, const RequestCutter& cutter) const;
  void count(const Pending& request, Side side);
  static Buckets buckets_of(const InterlayRoute& route, const Pending& request,
                            const RequestCutter& cutter);
  // As if it were a write of its keys.
  static Plan plan_write(const InterlayRoute& route, const Pending& request,
                         const RequestCutter& cutter);
  std::uint32_t caller_bucket(SplitBy by, const Pending& asks, const RequestCutter& cutter) const;
  // The keys of a request as bits, one for many keys: without a bit in common they have no key in
  // common.
  static std::uint64_t keys_mask(const RequestFacts& facts) {
    return facts.bucket_low == facts.bucket_high ? std::uint64_t{1} << (facts.bucket_low % 64)
                                                 : ~std::uint64_t{0};
  }
  void render(Pending& request, const RequestCutter& cutter);
  // True: it was not for the side that it is planned for, and the client was told so.
  bool refuse_foreign(const Pending& request);
  void end_if_silent();
  void send_request(Upstream& up, const Pending& request);
  bool may_overtake_reads(const RequestFacts& facts) const;
  Handled ask_entry();
  // False: nothing was sent, and the client was told so.
  bool dispatch(Pending& request);
  void forward_plain(Upstream& up, const Pending& request);
  bool reach(Upstream& up, Interlay::Use use);
  enum class Wanted : std::uint8_t { State, Login };
  void bring_up_to_date(Upstream& up, Wanted wanted = Wanted::State);
  Exchange* new_exchange(Pending& request);
  bool send_second_leg(Exchange& exchange, const Pending& request);
  bool send_silently(Pending& request);
  void send_internal(Upstream& up, std::string_view commands, std::uint32_t count);
  bool may_enter_unasked() const;
  void refuse(std::string_view error);
  void skip_streaming();
  void unreachable(Side side);
  SecondCounters& second_counters(Second sort) {
    return counters().second[sort == Second::Copy ? 0 : 1];
  }
  SecondCounters& second_counters(const Exchange& exchange) {
    return second_counters(exchange.second);
  }
  // Counts a second leg that is not even tried.
  void drop_second(Second sort, Drop why) {
    SecondCounters& counts = second_counters(sort);
    counts.eligible.add();
    counts.drop(why);
  }

  // --- session_turns.cc
  static bool writes_both(const Pending& request) {
    return request.plan.second == Second::Write && request.facts.kind == Kind::Write &&
           request.facts.effect == Effect::None;
  }
  // One name for one database: the default ones are a pair.
  std::int32_t named_db(std::uint32_t db) const {
    const bool is_default =
        db == route_->old_side.db && (!route_->new_side || db == route_->new_side->db);
    return is_default ? kDefaultDb : static_cast<std::int32_t>(db);
  }
  std::int32_t selected_db() const { return state_.db ? named_db(*state_.db) : kDefaultDb; }
  std::uint64_t turn_owner() const { return id_; }
  DualWrite* begin_dual_write();
  DualWrite* dual_write_of(const Pending& request, const RequestCutter& cutter);
  bool await_turn(const Pending& request, const RequestCutter& cutter);
  // By the table that this session is bound to, what it writes goes to one side; by the newest one,
  // to both.
  bool goes_by_former() const {
    return route_ != newest_route() && newest_route()->authority() && !route_->authority();
  }
  void begin_to_write_both();
  void leave_to_former(Exchange& exchange);
  bool stand_in_order(Exchange& exchange);
  bool await_transaction_turn();
  void add_key_elsewhere(DualWrite& dual, const CommandSpec* spec,
                         std::span<const std::string_view> args, std::int32_t db) const;
  bool take_turn(DualWrite& dual);
  static void turn_came(DualWrite& dual);
  void give_up_turn(DualWrite& dual);
  void check_turns();
  void note_early(Exchange& exchange);
  void give_back(DualWrite* dual);
  void give_back_next();
  void retire(DualWrite* dual);
  static void put_if_free(DualWrite& dual);
  void learn_expiry(const DualWrite& dual);
  bool meets_expiry(const DualWrite& dual) const;
  void record_queued(const Pending& request, const RequestCutter& cutter);

  // --- session_dual.cc
  bool dispatch_dual(Pending& request);
  void identify(Upstream& up);
  static ServersClient client_in(std::string_view told);
  void forsake(Upstream& up);
  void probe(Upstream& up);
  bool begin_second(Exchange& exchange, std::string_view bytes);
  void ask(Exchange& exchange);
  void streamed_dual();
  void dual_answer(Upstream& up, Exchange& exchange, std::string_view bytes, bool complete,
                   bool error);
  void attempt_answer(Upstream& up, Exchange& exchange, std::string_view bytes, bool complete,
                      bool error);
  void block(Upstream& up, Exchange& exchange);
  void block_behind_refusal(Upstream& up, Exchange& exchange);
  void remember_refusal(std::string_view reply);
  void stand_blocked(Exchange& exchange);
  void dual_lost(Upstream& up, Exchange& exchange, bool never_sent);
  void advance(Exchange& exchange);
  bool resolve(Exchange& exchange);

  // --- session_ledger.cc
  void conclude(Exchange& exchange);
  std::optional<Doubt> doubt_of(const Exchange& exchange) const;
  bool any_suspects() const;
  bool has_suspects(const DualWrite& dual) const;
  bool is_made_from_suspects(const DualWrite& dual) const;
  Side right_before(const DualWrite& dual, Side otherwise) const;
  std::function<void(bool)> when_on_disk(DualWrite& dual);
  bool swap_suspects(DualWrite& dual);
  bool note(const Exchange& exchange, Doubt doubt);
  void mark(const char* why);
  static void noted(DualWrite& dual);
  void finish(Exchange& exchange);
  void dual_silently(Pending& request);
  void hear_behind_silence(const Upstream& up, const Exchange& answered, std::uint32_t complete);
  void end_silence(bool known);
  void note_silence_again();
  void note_unheard(DualWrite& dual, Side answer);
  void keep_from_stale(Pending& request, const RequestCutter& cutter);
  bool is_suspect(const RequestFacts& facts, const RequestCutter& cutter,
                  std::string_view bytes) const;
  // A read of what this session has just written, whatever becomes of that on the other side.
  bool follows_own_write(const RequestFacts& facts) const {
    return unsettled_ > 0 && (unsettled_keys_ & keys_mask(facts)) != 0;
  }
  bool relies_on_ledger(const Pending& request, const RequestCutter& cutter);

  // --- session_effects.cc
  void begin_effect(Pending& request, const RequestCutter& cutter);
  bool client_reply(Pending& request, const RequestCutter& cutter);
  // Under RESP2 a subscriber may do little else.
  bool refuses_subscriber() const { return state_.resp == 2 && subscriptions_.any(); }
  void end_watch() {
    watches_ = 0;
    ++watch_round_;
    watch_failed_ = false;
  }
  void pin(Side side);
  void unpin_if_free();
  std::unique_ptr<StateChange> change_of(const RequestFacts& facts, const RequestCutter& cutter,
                                         std::string_view bytes) const;
  void after_answer(Upstream& up, Exchange& exchange, bool error);
  void set_state(const StateChange& change, Upstream& up);
  void end_second_transaction();
  void forget_state();

  // --- session_transactions.cc
  void in_transaction(Pending& request, const RequestCutter& cutter);
  void add_keys(Pending& request, const RequestCutter& cutter);
  bool decide_transaction(const Pending& request, const RequestCutter& cutter);
  void end_transaction(Pending& request);
  void discard(const Transaction& ended, Side side);
  static bool may_stay_unanswered(const RequestCutter& replconf, std::string_view bytes);

  // --- session_compare.cc
  void keep_pair(Exchange& exchange, const Pending& request);
  void note_reply(Exchange& exchange, Side side, std::string_view bytes, bool complete);
  void compare(Exchange& exchange);
  void offer(KeptPair& pair, const Exchange& exchange);
  void offer_bare(const Exchange& exchange);
  void drop_pair(Exchange& exchange);

  // --- session_raw.cc
  void go_raw(std::string_view rest, Handed why);
  void begin_sync(std::string_view request);
  bool hand_through(std::string_view bytes);
  void send_raw(std::string_view bytes);

  // --- session_replies.cc
  void give_push(const Upstream& up, std::string_view bytes, bool complete);
  static Entered verdict(std::string_view answer);
  void answer_bytes(Upstream& up, Exchange& exchange, std::string_view bytes);
  void hold(Exchange& exchange, std::string_view bytes);
  void answer_complete(Upstream& up, Exchange& exchange, bool error);
  void settle(Exchange& exchange);
  void second_bytes(Upstream& up, Exchange& exchange, std::string_view bytes, bool complete,
                    bool error);
  void internal_bytes(Upstream& up, Exchange& exchange, std::string_view bytes,
                      std::uint32_t complete, std::uint32_t errors);
  void write_held(Exchange& exchange);
  void pump();
  void release(Exchange* exchange);
  void second_leg_over(Exchange& exchange);
  void fail_owed(Upstream& up, Drop why, std::string_view reason);
  // `torn`: a part of the answer has come.
  void fail_answer(Upstream& up, Exchange& exchange, std::string_view reason, bool torn);
  // Who ended a connection: of one that the server has closed nothing is run any more.
  enum class End : std::uint8_t { Ours, Servers };
  // `blame`: the failure of its side that this shows, if any.
  void lose(Upstream& up, Drop why, std::string_view reason, std::optional<Interlay::Failure> blame,
            End end = End::Ours);
  void retry_on_other_side(Exchange* exchange);

  Loop& loop() { return interlay_.loop(); }
  InterlayCounters& counters() { return interlay_.counters(); }
  Upstream& upstream(Side side) { return side == Side::Old ? old_ : new_; }
  const Upstream& upstream(Side side) const { return side == Side::Old ? old_ : new_; }
  // Whether so many more bytes of second legs are too many for that side.
  bool overfills(const Upstream& up, std::size_t more) const {
    return interlay_.unsent[static_cast<std::size_t>(up.side())] + more >
           settings().second_bytes_max;
  }
  // As it is for this client.
  const InterlayRoutePtr& newest_route() const { return interlay_.route_of(*this); }
  const InterlaySettings& settings() const { return route_->settings; }
  Side home_side() const { return route_->home_side(); }
  // The side that the session's own state lives on.
  Side anchor() const { return pin_ ? *pin_ : home_side(); }

  const std::uint64_t id_;            // of this process
  std::uint64_t requests_ = 0;        // that were planned
  std::uint32_t session_bucket_ = 0;  // of where the client connects from
  Interlay& interlay_;
  InterlayRoutePtr route_;                // stays as it is while pinned
  std::shared_ptr<SharedWrites> writes_;  // of that route; null where it has one side only
  Stream client_;
  Upstream old_;
  Upstream new_;
  ReplyQueue queue_;
  std::unique_ptr<Partial> partial_;
  std::optional<Streaming> streaming_;

  ConnectionState state_;
  std::uint32_t state_version_ = 1;
  Transaction transaction_;
  DualWrite* next_write_ = nullptr;  // of the request that waits for its turn, or has just got it
  DualWrite* transaction_write_ = nullptr;  // of the open transaction
  DualWrite* silent_ = nullptr;             // keys written in silence, until it is known to be over
  Side silent_side_ = Side::Old;            // where
  std::uint64_t silent_pause_ns_ = 0;       // until they are noted again
  std::uint64_t silent_again_at_ns_ = 0;
  const Exchange* silent_behind_ = nullptr;  // the last that was owed there before them
  std::uint32_t attempts_ = 0;               // blocking dual writes: nothing is sent behind them
  std::uint32_t unattempted_version_ = 0;  // of the state that was refused a MULTI or EXEC of ours
  Subscriptions subscriptions_;
  std::optional<Side> pin_;
  std::optional<Side> scan_side_;    // where this session's last SCAN began
  std::uint32_t subscribing_ = 0;    // SUBSCRIBEs that wait for their confirmation
  std::int32_t silent_due_ = 0;      // confirmations that SUBSCRIBEs sent in silence may still get
  std::uint32_t state_pending_ = 0;  // state changes that wait for their answer
  std::uint32_t blocking_ = 0;       // blocking commands that wait for their answer ...
  Side blocking_side_ = Side::Old;   // ... on this side
  std::uint32_t second_writes_ = 0;  // dual writes that the second side has not answered
  std::uint32_t resetting_ = 0;      // RESETs that wait for their answer
  std::uint32_t repeatable_ = 0;     // reads on new that may have to be asked of old again ...
  std::uint64_t repeatable_keys_ = 0;  // ... and their keys, as bits
  std::uint32_t unsettled_ = 0;        // dual writes whose outcome is not known yet ...
  std::uint64_t unsettled_keys_ = 0;   // ... and their keys, as bits
  ReplyMode reply_mode_ = ReplyMode::On;
  Entered entered_ = Entered::Unknown;
  std::uint32_t watches_ = 0;     // WATCHes since the last end of watching, but those refused
  std::int32_t watch_round_ = 0;  // counts the ends of watching
  Buckets kept_keys_ = kNoKeys;   // of these WATCHes and of the open transaction, by route_
  bool watch_failed_ = false;     // its side has lost its writes since: the next EXEC is not to run
  bool stays_ = false;            // counted among those with something under way on such a side
  bool tracking_ = false;
  bool tied_ = false;  // subscribed inside a transaction: its confirmations are not ours to count
  bool monitoring_ = false;
  bool raw_ = false;
  bool raw_ends_ = false;      // behind malformed bytes: the server runs nothing more
  bool syncing_ = false;       // SYNC, PSYNC: the server has not said whether it refuses them
  bool stalled_ = false;       // requests wait until every answer is out
  bool paced_ = false;         // requests wait until the second side has caught up with our writes
  bool quit_ = false;          // the client has said QUIT: a server reads nothing after it
  bool probe_lost_ = false;    // home went away before it could say who may enter
  bool unasked_ = false;       // ... so that what waited for it is not to ask again
  bool client_ended_ = false;  // the client sends no more
  bool expect_close_ = false;  // QUIT, SHUTDOWN: the server closes, that is no failure
  bool close_when_answered_ = false;
  bool home_lost_ = false;  // the connection that held our state is gone: the rest is refused
  bool draining_ = false;
  bool secured_ = false;           // counted among the sessions over TLS
  bool second_sent_ = false;       // of the last request dispatched
  bool client_mid_frame_ = false;  // the last bytes for the client end inside of a frame ...
  bool client_mid_push_ = false;   // ... that nobody asked for; it may be held yet
  std::array<bool, kSides> loss_noticed_{};
  std::string held_pushes_;            // pushes that wait for the end of a frame
  std::uint64_t reordered_ = 0;        // bytes held for their turn
  std::uint64_t now_ns_ = 0;           // beginning of the event in progress
  std::uint64_t request_cost_ns_ = 0;  // our own share of the last request event
  std::uint64_t accepted_at_ns_ = 0;   // while its handshake goes on
  std::uint64_t ended_at_ns_ = 0;
  std::uint64_t slow_since_ns_ = 0;  // the client has not read all that it was owed since then
  std::uint64_t left_behind_at_ns_ =
      0;  // since when the session is tied to a side that is not home
  std::uint32_t answered_in_event_ = 0;
};

}  // namespace crossfade::redis
