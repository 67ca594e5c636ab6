// A PostgreSQL client: its connection, its server, and what is under way between them.
//
//   Opening     reads the packets that come before a session: what is wanted, and in which protocol
//   Proving     the client proves to the sidecar who it is, before any server hears of it
//   Login       the start-up packet went to the home side; its login is handed through, both ways,
//   or what
//               is left of it once we have logged in there
//   Ready       messages are handed through, and it is known which of them are answered
//   Raw         the client does not speak the protocol: the server is to tell it so
//   Cancelling  the connection carries a CancelRequest and nothing else
//   Closing     what is still to be said is being sent
//
// In five files: its life and the client's bytes, what comes before, logins, what servers send,
// cancelling.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/postgres/message.h"
#include "protocols/postgres/ring.h"
#include "protocols/postgres/startup.h"
#include "proxy/interlay.h"
#include "proxy/postgres/cancel_keys.h"
#include "proxy/postgres/canceller.h"
#include "proxy/postgres/client_login.h"
#include "proxy/postgres/upstream.h"
#include "proxy/session.h"
#include "proxy/stream.h"

namespace crossfade::postgres {

// An SSLRequest as if it was a version, which a server that has had one takes it for.
inline constexpr Version kSslCode{1234, 5679};
// A server takes this long for a login by default (authentication_timeout).
inline constexpr std::uint64_t kLoginMaxNs = 60'000'000'000;

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

  // --- its upstream
  void begin_reply_event(std::size_t bytes);
  void end_reply_event();
  bool raw() const { return phase_ == Phase::Raw; }
  void on_raw(std::string_view bytes);
  void on_reply(Upstream& up, const Piece& piece);
  void on_rows(Upstream& up, char type, std::string_view rows);
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

  // --- cancelling, on this session's loop
  // Somebody who holds its key wants what it runs to be cancelled; is told when that is done.
  void cancel(const SessionHandlePtr& asker);
  void on_cancelled();  // its canceller is through

  // --- logins, on this session's loop
  // The client's user was looked up.
  void on_looked_up(const AuthLookup& found);

 private:
  enum class Phase : std::uint8_t { Opening, Proving, Login, Ready, Raw, Cancelling, Closing };
  // What the client has asked for before its start-up packet. Each question may be asked once, and
  // a refused GSSAPI leaves TLS to ask for, as in the server.
  enum class Asked : std::uint8_t { Nothing, Gss, Tls };
  // How its TLS begins.
  enum class Handshakes : std::uint8_t { Asked, Directly };
  // Why the client's bytes are not handed on.
  enum class Held : std::uint8_t {
    No,
    Cancel,  // a cancel is on its way, which must not hit what comes next
    Login,   // the server has not said yet whether it wants a password
    Room     // the server owes too much
  };
  struct Sent {
    std::uint64_t id;
    std::uint64_t at_ns;
  };

  void on_bytes(std::string_view bytes) override;
  void on_end(int status) override;
  void on_room() override;

  Loop& loop() { return interlay_.loop(); }
  InterlayCounters& counters() { return interlay_.counters(); }
  const InterlaySettings& settings() const { return interlay_.route()->settings; }
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
  void check_opening();
  void start_up(std::string_view packet, Phase next);
  bool reach_home(ServerReach::Ask ask);
  std::string unreachable(Side side) const;

  // --- logins
  void prove(const StartUp& start);
  void negotiate_version(const StartUp& start);
  void look_up();
  void ask_for_proof(postgres::ScramVerifier verifier, Chance chance);
  postgres::ScramVerifier mock() const;
  std::size_t take_proof(std::string_view bytes);
  void on_proof(std::string_view body);
  void refuse(const LoginRefusal& refusal);
  void enter_home();
  Entry entry_at(Side side) const;
  void home_not_entered(const std::string& why);
  bool hide_plus(Upstream& up, const Piece& piece);
  bool binds_in_vain(const Piece& piece) const;

  // --- the client's bytes
  void consume(std::string_view bytes);
  std::size_t take(std::string_view bytes);
  Held held(char type) const;
  void on_request(const Piece& piece);
  void resume();
  void update_reading();

  // --- the server's
  void send(std::string_view bytes);
  bool note_first(Upstream& up, const Piece& piece);
  bool note_reply(Upstream& up, const ServerMessage& message);
  void note_login(Upstream& up, const Piece& piece);
  void settle(Upstream& up, std::uint64_t id);

  // --- cancelling
  void start_cancel(const CancelRequest& request, std::string_view packet);
  static void tell(const SessionHandle& asker);
  void answer_askers();
  void forget_key();

  // --- the end
  bool safe_point() const;
  bool left_behind() const;
  void check_connecting(std::uint64_t limit_ns);
  void lose_server(const char* reason);
  void say_and_close(std::string_view sqlstate, const std::string& message);
  void close_client();

  Interlay& interlay_;
  crossfade::Stream client_;
  Upstream server_;
  MessageCutter cutter_{Stream::ClientLogin};
  std::string kept_;        // bytes of the client that wait, or of a message that is awaited whole
  std::size_t wanted_ = 0;  // bytes of it, for the next look
  Ring<Sent> sent_;         // what ends with ReadyForQuery
  SessionHandlePtr handle_;
  std::unique_ptr<Canceller> canceller_;
  std::vector<SessionHandlePtr> askers_;
  std::uint64_t now_ns_ = 0;
  std::uint64_t accepted_at_ns_ = 0;
  std::uint64_t secured_at_ns_ = 0;  // since when TLS is negotiated with the client
  std::uint64_t closing_at_ns_ = 0;
  std::uint64_t request_cost_ns_ = 0;
  std::uint64_t answered_in_event_ = 0;
  Phase phase_ = Phase::Opening;
  Held held_ = Held::No;
  ClientLogin login_;
  Asked asked_ = Asked::Nothing;
  Handshakes handshakes_ = Handshakes::Asked;
  bool secure_ = false;           // the client's handshake is done
  bool password_wanted_ = false;  // the server waits for the client in its login
  bool last_words_ = false;       // the server has said why it closes, or the client that it does
  bool client_ended_ = false;
  bool draining_ = false;
  bool listed_ = false;  // its key is among the interlay's
};

}  // namespace crossfade::postgres
