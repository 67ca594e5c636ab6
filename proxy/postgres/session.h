// A PostgreSQL client: its connection, its server, and what is under way between them.
//
//   Opening     reads the packets that come before a session: what is wanted, and in which protocol
//   Proving     the client proves to the sidecar who it is, before any server hears of it
//   Login       the start-up packet went to the home side; its login is handed through, both ways,
//               or what is left of it once we have logged in there
//   Ready       messages are handed through, and it is known which of them are answered
//   Raw         the client does not speak the protocol: the server is to tell it so
//   Cancelling  the connection carries a CancelRequest and nothing else
//   Closing     what is still to be said is being sent
//
// While an interlay has one side all of that goes there and comes from there. Once there are two,
// messages are read (it is watched): the client's bytes are cut into units, and each has its side.
// Servers answer in turn: another side is gone to when the one before owes nothing any more.
//
// In several files: its life (session), the client's bytes (session_requests), what comes before
// (session_opening), logins (session_login), units and their sides (session_units), whose they are
// (session_users), statements that new has in another form (session_forms), statements that a
// server lacks (session_bring), going from one server to another (session_crossing), what servers
// send (session_replies), copies for new while old answers (session_shadow,
// session_shadow_compare), transactions on both sides (session_dual, session_dual_wrap,
// session_dual_end), cancelling (session_cancel).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/postgres/inventory.h"
#include "protocols/postgres/message.h"
#include "protocols/postgres/ring.h"
#include "protocols/postgres/session_state.h"
#include "protocols/postgres/startup.h"
#include "protocols/postgres/unit.h"
#include "protocols/postgres/unit_facts.h"
#include "proxy/interlay.h"
#include "proxy/postgres/cancel_keys.h"
#include "proxy/postgres/canceller.h"
#include "proxy/postgres/client_login.h"
#include "proxy/postgres/dual_transaction.h"
#include "proxy/postgres/lone_writes.h"
#include "proxy/postgres/new_only.h"
#include "proxy/postgres/shadow_leg.h"
#include "proxy/postgres/upstream.h"
#include "proxy/session.h"
#include "proxy/stream.h"

namespace crossfade::postgres {

// An SSLRequest as if it was a version, which a server that has had one takes it for.
inline constexpr Version kSslCode{1234, 5679};

// Accepts one client; it is the interlay's from then on.
void accept_session(Interlay& interlay, uv_stream_t* listener);

class PostgresSession final : public Session, public StreamOwner {
 public:
  explicit PostgresSession(Interlay& interlay);
  ~PostgresSession() override;

  bool accept(uv_stream_t* listener);

  bool on_tick(std::uint64_t now_ns) override;
  void on_route() override;
  void drain() override;
  void abort() override;
  std::optional<ClientAddress> client_address() const override { return client_.peer_address(); }

  // --- its upstream
  void begin_reply_event(std::size_t bytes);
  void end_reply_event();
  // Nothing that a server says is looked at any more.
  bool passes_raw() const { return phase_ == Phase::Raw && !server().owed().owes_ours(); }
  void on_raw(std::string_view bytes);
  void on_reply(Upstream& up, const Piece& piece);
  void on_rows(Upstream& up, char type, std::string_view rows);
  // Takes the replies at the beginning of `bytes` that pass by unseen, many at once, and returns
  // how many bytes these are.
  std::size_t on_replies(Upstream& up, std::string_view bytes);
  void on_connected(Upstream& up);
  void on_handshake(Upstream& up, int status);  // has ended, as Stream tells it
  void on_garbled(Upstream& up, const char* reason);
  void on_lost(Upstream& up, const char* reason);
  // An upstream that was to enter() has, or is not let in; within an event. Close it then.
  //   why  for people, without secrets
  void on_entered(Upstream& up);
  void on_not_entered(Upstream& up, const std::string& why);
  void on_upstream_room();
  void flush();
  void end_event();

  void on_noted();  // what the ledger was told is on disk, or never will be

  // --- cancelling, on this session's loop
  // Somebody who holds its key wants what it runs to be cancelled; is told when that is done.
  void cancel(const SessionHandlePtr& asker);
  void on_cancelled(const Canceller& which);  // it is through

  // --- logins, on this session's loop
  // The client's user was looked up.
  void on_looked_up(const AuthLookup& found);

 private:
  enum class Phase : std::uint8_t { Opening, Proving, Login, Ready, Raw, Cancelling, Closing };
  // What the client has asked for before its start-up packet. Each question may be asked once, and
  // a refused GSSAPI leaves TLS to ask for, as in the server.
  enum class Greeting : std::uint8_t { Nothing, Gss, Tls };
  // How its TLS begins.
  enum class Handshakes : std::uint8_t { Asked, Directly };
  // Why the client's bytes are not handed on.
  enum class Held : std::uint8_t {
    No,
    Cancel,  // a cancel is on its way, which must not hit what comes next
    Login,   // the server has not said yet whether it wants a password
    Room,    // the server owes too much
    Side     // its unit's side is not ready: see Wait
  };
  // What a unit waits for.
  enum class Wait : std::uint8_t {
    Nothing,
    Answers,  // the server before owes some
    Trial,    // whether the server that was tried answers
    Entry,    // the server is being entered
    Telling,  // the server before is telling what the session holds
    Giving,   // the next one is being given that
    Dual,     // the unit before is under way on both sides
    Disk      // the ledger is being written, as it will be true by this unit
  };
  // A transaction block on the server that is talked to.
  enum class Block : std::uint8_t { None, Open, Unsure };
  // Why a server is told to answer a unit with an error.
  enum class Refusal : std::uint8_t { ReadOnly, Cancelled };
  // What is done with a unit.
  struct Choice {
    enum class Do : std::uint8_t {
      Go,  // to the server that is talked to
      Wait,
      Await,  // its end, as that says where it goes
      Refuse,
      Gone  // the session has ended
    } act;
    bool trial = false;  // if it fails, old is asked
    bool dual = false;   // it is run on both sides
    Refusal refusal = Refusal::ReadOnly;
    std::optional<std::uint32_t> api =
        {};  // that it is counted for, by the names of the newest table
  };
  // What a side is gone to for.
  enum class Errand : std::uint8_t {
    Unit,
    Trial,  // a read that another side can answer, too
    Follow  // nothing yet
  };
  // What became of an attempt to go to a side.
  enum class Crossing : std::uint8_t {
    There,
    Waits,
    Stays,  // it is tied to its server, or the other one can not be had
    Gone    // the session has ended
  };
  struct Sent {
    static constexpr std::uint64_t kTimes = ~std::uint64_t{0} >> 2;
    std::uint64_t id = 0;
    std::uint64_t at_ns : 62 = 0;
    bool defines : 1 = false;  // definitions may change when its transaction ends
    bool commits : 1 = false;  // it says COMMIT, wherever in it
  };
  static_assert(sizeof(Sent) == 16);  // pipelines are full of them

  void on_bytes(std::string_view bytes) override;
  void on_end(int status) override;
  void on_room() override;

  static constexpr std::size_t index(Side side) { return static_cast<std::size_t>(side); }
  Upstream& at(Side side) { return upstreams_[places_[index(side)]]; }
  const Upstream& at(Side side) const { return upstreams_[places_[index(side)]]; }
  // The server that is talked to: its replies are the client's.
  Upstream& server() { return at(current_); }
  const Upstream& server() const { return at(current_); }

  Loop& loop() { return interlay_.loop(); }
  InterlayCounters& counters() { return interlay_.counters(); }
  // The newest, as it is for this client.
  const InterlayRoutePtr& newest_route() const { return interlay_.route_of(*this); }
  const InterlaySettings& settings() const { return newest_route()->settings; }
  // --- users: session_users.cc
  std::uint32_t read_bucket(std::string_view unit = {}) const;
  std::uint32_t bucket_by_field(const InterlayRoute& route) const;
  bool hangs_on_user(const InterlayRoute& route, const Facts& request) const;
  std::uint64_t database_hash() const;
  void note_described(std::uint64_t id, const Piece& describe);
  void note_told_type(const Asked& asked, char type, std::string_view body);
  std::optional<std::string_view> first_text(std::string_view unit) const;
  void begin_event();

  // --- before the session
  std::size_t take_opening(std::string_view bytes);
  void take_start_up(const StartUp& start, std::string_view packet);
  void take_gss_request();
  void say_unsupported(Version version);
  bool serves_tls() const;
  std::size_t take_ssl_request(std::size_t size, std::string_view bytes);
  void secure_client(Handshakes how, std::string_view received);
  void on_secured(int status);
  void check_handshake();
  void start_up(std::string_view packet, Phase next);
  bool reach_home(ServerReach::Ask ask);
  void remember_start_up(const StartUp& asked);
  std::string unreachable(Side side) const;

  // --- logins
  void prove(const StartUp& start);
  void negotiate_version(const StartUp& start);
  void look_up();
  void ask_for_proof(postgres::ScramVerifier verifier, Chance chance);
  postgres::ScramVerifier mock() const;
  std::size_t take_proof(std::string_view bytes);
  void on_proof(std::string_view body);
  void refuse(const LoginRefusal& refusal, LoginRefused why);
  void enter_home();
  bool may_enter(Side side) const;
  Entry entry_at(Side side) const;
  Users users() const;
  void home_not_entered(const std::string& why);
  bool hide_plus(Upstream& up, const Piece& piece);
  bool binds_in_vain(const Piece& piece) const;

  // --- the client's bytes: session_requests.cc
  void consume(std::string_view bytes);
  std::size_t take(std::string_view bytes);
  Held held(char type) const;
  std::uint64_t on_request(const Piece& piece);
  std::size_t pass_requests(std::string_view bytes);
  std::size_t pass_requests(Upstream& up, std::string_view bytes);
  void note_unit_end(std::uint64_t id);
  void forward(const Piece& piece);
  bool go_raw();
  void resume();

  // --- units: session_units.cc
  void watch();
  std::size_t take_unit(std::string_view bytes);
  void begin_reading();
  void read_unit(std::string_view bytes);
  bool read_on(const Piece& piece);
  void glance(const Piece& piece);
  void note_custom_settings();
  void note_request(std::uint64_t id, std::uint64_t copy_id, const Piece& piece);
  Choice choose(const Unit& unit, std::string_view bytes);
  Choice choose_in_block(const Unit& unit);
  // What a client sends then belongs to the COPY, or ends it.
  static bool takes_data(CopyMode mode) { return mode == CopyMode::In || mode == CopyMode::Both; }
  bool waits_for_names();
  Choice choose_free(const Unit& unit, std::string_view bytes);
  Block block() const;
  Side write_side() const;
  bool is_of_no_api(const InterlayRoute& route);
  void send_unit(std::string_view bytes, const Unit& unit, const Choice& choice);
  bool leads_out(const UnitFacts& facts) const;
  static bool leads_out(const UnitFacts& facts, Block block);
  bool runs_unseen() const;
  void refuse_unit(std::string_view bytes, Refusal why);
  void send_refusal(char type, Refusal why);
  void send_ours(std::string_view message, Mark mark);
  void note_sent(const UnitFacts& facts);
  void note_definitions();
  // --- writes that only new gets
  bool is_new_only() const { return watched_ && server().side() == Side::New && !dual_under_way(); }
  void note_new_only();
  void count(NewOnly::Counts counts);
  void count_dual(bool on_first_only, bool sure);
  // Calls use(upstream) for the servers that get what the client sends.
  template <class Use>
  void each_receiver(Use use) {
    use(server());
    if (copying()) use(at(Side::New));
  }
  // --- what new has in another form: session_forms.cc
  static bool has_text(char type) {
    return type == from_client::kQuery || type == from_client::kParse;
  }
  bool renders() const;
  std::string_view in_form_of(Side side, std::string_view message);
  std::string in_form_of_new(std::string_view messages);
  void write_to(Upstream& up, const Piece& piece);
  void forget_forms();
  bool is_suspected_anew(const InterlayRoute& route) const;
  // --- trials
  void succeed();
  bool can_fall_back() const;
  void fall_back();

  // --- what a server lacks: session_bring.cc
  bool brings_under_way() const;
  std::uint64_t inject(Upstream& up, std::string_view message, char type,
                       char subject = kStatement);
  // Others need no bring_for().
  static bool names_statements(char type) {
    return type == from_client::kBind || type == from_client::kParse ||
           type == from_client::kDescribe || type == from_client::kQuery;
  }
  void bring_for(Upstream& up, const Piece& piece);
  void bring_for_sql(Upstream& up, std::string_view name, char type);
  void bring_for_bind(Upstream& up, const Piece& piece);
  void bring_statement(Upstream& up, std::string_view name);
  void bring_stand_in(Upstream& up, std::string_view name, std::size_t parameters);
  void bring(Upstream& up, const SessionState::Statement& statement, std::string_view name);
  void drop_stale(Upstream& up, std::string_view name);
  void note_statement(Upstream& up, std::uint64_t id, const Piece& piece);
  void note_made(Upstream& up, std::uint64_t id, const Piece& parse);
  void note_closed(Upstream& up, std::uint64_t id, const Piece& close);
  void note_asked(Upstream& up, std::uint64_t id, char type, std::string_view body = {});
  void settle_asked(Holdings& there, const Asked& asked, char type);

  // --- going to another server: session_crossing.cc
  Crossing go_to(Side side, Errand errand);
  bool given_up(const Upstream& up) const;
  bool may_be_hit(const Upstream& up) const;
  Crossing unavailable(Side side, Errand errand, const std::string& why);
  Crossing end_unlent(Side side);
  Crossing cross(Upstream& to, Errand errand);
  bool late_to_answer(std::uint64_t since_ns) const;
  Crossing stay();
  void ask_inventory(unsigned attempt = 1);
  void on_inventory_failed(std::string_view body);
  void on_inventory_piece(Upstream& up, const Piece& piece);
  void on_inventory_row(std::string_view body);
  void on_inventory_told();
  void ask_again();
  void take_over_statements();
  void forget_dropped();
  bool begin_giving(Upstream& to);
  void on_given(Upstream& up);
  bool enter(Side side);
  void change_places();
  void follow();
  bool speaks_of_other_types(Side side) const { return types_of_ && *types_of_ != side; }
  std::optional<Stay> why_it_stays() const;
  Stay what_ties() const;
  void show_stay(std::optional<Stay> why);
  void check_staying();
  void end_tied();
  void check_entries();
  void check_giving();
  void check_trial();
  bool tied() const { return !inventory_.ties.empty() && inventory_version_ == version_; }

  // --- copies: session_shadow.cc, session_shadow_compare.cc
  bool copies_wanted() const;
  bool is_copy(const Upstream& up) const { return shadow_ && &up == &at(Side::New); }
  bool copying() const { return shadow_ && shadow_->copying(); }
  void update_shadow();
  void begin_shadow();
  void end_shadow();
  void get_in_step();
  void ask_for_copies();
  void give_copies(Upstream& to);
  void fall_apart();
  void plan_copy(const Unit& unit, std::string_view bytes);
  void begin_copy(const Unit& unit, std::string_view bytes);
  bool leaves_reading() const;
  std::optional<Drop> copy_refusal(std::size_t size);
  std::uint64_t copy_request(std::uint64_t id, const Piece& piece);
  void copy_piece(const Piece& piece);
  void note_compared(const Piece& piece);
  void note_bound(const Piece& piece);
  void on_copy_reply(Upstream& up, const Piece& piece);
  void on_copy_rows(Upstream& up, char type, std::string_view rows);
  std::uint64_t note_copy_reply(Upstream& up, const ServerMessage& message, std::string_view body);
  void settle_copies();
  void compare_copy(const CopiedTransaction& copied);
  void offer(const CopiedTransaction& copied, Compared compared);
  std::optional<std::string> settings_again() const;
  bool inventory_known() const { return shadow_->asked == shadow_->version && !asking_; }
  // All that are under way are dropped: one for `why`, the others as it takes the connection away.
  void fail_copies(Drop why);
  void drop_copies(Drop why, Drop others);
  void check_copies();
  bool copies_late() const;
  bool copies_linger() const;
  bool copies_wait() const;
  // --- both sides: session_dual.cc
  bool dual_under_way() const { return dual_ && dual_->under_way(); }
  bool waits_for_dual(const Unit& unit) const;
  bool keeps_for_second(const Upstream& up) const;
  Choice choose_copy(Choice choice);
  void leave_note();
  Choice choose_dual(Choice choice, const Unit& unit);
  bool second_is_ready();
  bool second_holds_all(Upstream& up);
  bool leave_out(Drop why, Doubt doubt = Doubt::Unsent);
  void begin_dual_unit(std::string_view bytes, const Unit& unit);
  void note_rows(const Piece& piece);
  std::uint64_t next_kept_id();
  void keep_for_second(const Piece& piece);
  Goes on_first_answer(char type, std::string_view body);
  Goes on_second_answer(Upstream& up, const Answer& answer, char type, std::string_view body);
  void on_second_skipped(Upstream& up);
  void hold(std::string_view bytes);
  void release_held();
  void look_at(Upstream& up, Goes goes, const Piece& piece);
  void look_at_rows(Upstream& up, Goes goes, char type, std::string_view rows);
  void step_dual();
  void first_answered();
  void follow_without();
  void release_failed();
  void send_script();
  void second_answered();
  void go_on_after_second();
  void unit_over();
  void forget_script();
  void roll_second_back();
  void second_lost(Drop why);
  void check_second();
  // --- blocks that are ours: session_dual_wrap.cc
  DualTransaction::Frame frame_of(const Unit& unit) const;
  void wrap();
  std::uint64_t ask_ours(Upstream& up, std::string_view text, Mark mark);
  bool is_ours(const Upstream& up, std::uint64_t id) const;
  Goes on_ours(char type, std::string_view body);
  void run_unwrapped();
  bool says_why_unwrapped();
  Goes on_first_commit(char type, std::string_view body);
  void commit_first();
  void first_committed();
  void second_committed();
  void roll_first_back();
  void first_rolled_back();
  // --- its end: session_dual_end.cc
  void conclude_dual();
  void name_rows(DualTransaction::Doubts& doubts, WrittenRows::Which which);
  bool note_doubts(const InterlayRoute& route, const DualTransaction::Doubts& doubts, bool waits);
  void finish_dual_unit();
  void count_dual();
  void end_dual();
  void abandon_dual();
  void note_lone();
  void note_unread();
  void suspect_lone();
  bool is_suspected() const;
  bool is_suspected(const InterlayRoute& route, std::string_view table) const;
  bool any_suspected() const;
  bool is_made_from_suspects() const;
  bool renames_suspects() const;

  // --- the server's
  void send(std::string_view bytes);
  void hand_on(Goes goes, std::string_view bytes);
  void hide_tables(const Piece& piece);
  Goes note_first(Upstream& up, const Piece& piece);
  Goes note_reply(Upstream& up, const ServerMessage& message, std::string_view body);
  Goes note_arrival(Upstream& up, const Arrival& arrival, char type, std::string_view body);
  bool passes_by(const Upstream& up) const;
  Goes note_aside(Upstream& up, const Answer& answer, char type);
  Goes note_last_words(Upstream& up, std::string_view body);
  Goes note_answer(Upstream& up, const Answer& answer, char type, std::string_view body);
  Goes note_injected(Upstream& up, const Answer& answer, char type, std::string_view body);
  Goes on_trial_reply(char type, std::string_view body);
  void note_login(Upstream& up, const Piece& piece);
  void note_setting(const Upstream& up);
  void settle(Upstream& up, std::uint64_t id);
  void settle_definitions(const Sent& answered);
  bool may_define() const;
  void ring_redefined();
  void ring_unsettled();
  void note_answered(std::uint64_t id, char type, std::string_view body);

  // --- cancelling
  void start_cancel(const CancelRequest& request, std::string_view packet);
  Upstream& running();
  bool start_canceller(Upstream& up);
  void cancel_for_nobody(Upstream& up);
  void leave_cancel();
  void end_cancel();
  static void tell(const SessionHandle& asker);
  void answer_askers();
  void forget_key();

  // --- the end
  bool entering() const;
  bool may_go_on() const;
  void update_reading();
  bool safe_point() const;
  bool left_behind() const;
  void pass_end();
  void check_login();
  void check_connecting(std::uint64_t limit_ns);
  void check_lingering();
  void lose_server(const char* reason);
  bool can_do_without(const Upstream& up) const;
  bool go_on_without(Upstream& up);
  void say_and_close(std::string_view sqlstate, const std::string& message);
  void close_client();

  Interlay& interlay_;
  crossfade::Stream client_;
  std::array<Upstream, kSides> upstreams_;
  std::array<std::size_t, kSides> places_{0, 1};  // of each side's among them
  InterlayRoutePtr placed_;                       // the route that they are of
  Side current_ = Side::Old;
  MessageCutter cutter_{Stream::ClientLogin};
  std::string kept_;        // bytes of the client that wait, or of a message that is awaited whole
  std::size_t wanted_ = 0;  // bytes of it, for the next look
  Ring<Sent> sent_;         // what ends with ReadyForQuery
  SessionHandlePtr handle_;
  std::unique_ptr<Canceller> canceller_;
  std::unique_ptr<ShadowLeg> shadow_;             // while new gets copies
  std::unique_ptr<Canceller> nobodys_canceller_;  // of what a server runs for nobody any more
  std::vector<SessionHandlePtr> askers_;
  std::uint64_t now_ns_ = 0;
  std::uint64_t accepted_at_ns_ = 0;
  std::uint64_t secured_at_ns_ = 0;  // since when TLS is negotiated with the client
  std::uint64_t closing_at_ns_ = 0;
  std::uint32_t told_pid_ = 0;  // by its first server, to the client
  std::size_t lingering_ = 0;   // bytes that the client had not taken since then
  std::uint64_t request_cost_ns_ = 0;
  // --- watched
  std::string database_;
  std::string start_up_;      // parameters
  std::string told_;          // parameters: kKeptSettings as its server told them at its login
  std::uint32_t bucket_ = 0;  // of the session: which side its reads are on
  SessionState state_;
  UnitReader reader_{state_};
  Kind kind_ = Kind::Other;  // of the unit that is being sent
  SqlReading reading_ = SqlReading::Standard;
  std::size_t parses_ = 0;  // of the unit that is being sent
  // Grows whenever what the session holds may have changed: what is told of it, and what was given
  // to a server, is of one version. 0: as it began.
  std::uint64_t version_ = 0;
  SettingNames custom_;  // that it has set
  std::size_t custom_bytes_ = 0;
  Inventory inventory_;
  std::uint64_t inventory_version_ = 0;
  std::unique_ptr<InventoryReader> asking_;  // seldom: silent sessions are to be small
  std::string asked_row_;                    // of its answer, as far as it has come
  std::string trial_bytes_;                  // of the unit
  std::string trial_kept_;                   // what was answered to it so far
  // Likewise: ids and types of answers. The state learns of them when it has succeeded.
  std::vector<std::pair<std::uint64_t, char>> trial_answers_;
  std::uint64_t trial_id_ = 0;  // of its last message
  std::uint64_t trial_began_ns_ = 0;
  std::uint64_t alone_until_ns_ = 0;  // new is not tried again before
  std::uint64_t staying_since_ns_ = 0;
  std::optional<Stay> stays_;  // as it is counted
  // What the unit that waits will make different.
  // Left: of a unit that was not sent so after all.
  enum class Noting : std::uint8_t { No, UnderWay, Done, Left } noting_ = Noting::No;
  NewOnly new_only_;
  std::unique_ptr<DualTransaction> dual_;  // from its first unit to its end
  std::unique_ptr<LoneWrites> lone_;       // once there were some
  std::uint64_t answered_in_event_ = 0;
  Phase phase_ = Phase::Opening;
  Held held_ = Held::No;
  ClientLogin login_;
  Greeting greeted_ = Greeting::Nothing;
  Handshakes handshakes_ = Handshakes::Asked;
  bool secure_ = false;  // the client's handshake is done
  Wait wait_ = Wait::Nothing;
  std::optional<Side> types_of_;  // whose OIDs of types that users have made the client says
  Side wanted_side_ = Side::Old;  // while it waits
  Block block_ = Block::None;     // as the client's messages say
  bool watched_ = false;
  bool replication_ = false;           // such a session stays where it began
  bool mid_unit_ = false;              // the side of what comes is chosen, up to the unit's end
  bool reads_there_ = false;           // the server that is talked to gets nothing but reads
  bool read_only_block_ = false;       // ... in a transaction block that can only read
  bool refused_in_read_only_ = false;  // such a block was to do more than can be done on new
  bool refusing_ = false;              // the message that passes by is not sent
  bool on_trial_ = false;
  bool custom_lost_ = false;  // there was no room for all of them, or not all have told their names
  bool defines_ = false;      // what is answered of the transaction that is open may have defined
  bool defining_ = false;     // likewise what is sent of the unit that has not ended
  bool committing_ = false;   // that says COMMIT
  bool trial_cancelled_ = false;    // the client wants it to fail
  bool wait_cancelled_ = false;     // likewise the unit that waits
  bool statements_unseen_ = false;  // some may have been made while nobody looked
  bool was_used_ = false;           // something was asked before it was watched
  bool logged_in_ = false;
  bool password_wanted_ = false;  // the server waits for the client in its login
  bool last_words_ = false;       // the server has said why it closes, or the client that it does
  bool client_ended_ = false;
  bool draining_ = false;
  bool listed_ = false;  // its key is among the interlay's
  bool ending_ = false;  // it is being destroyed
};

}  // namespace crossfade::postgres
