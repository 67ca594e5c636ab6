// What the server sends: whose it is, and to the client with it.
#include <spdlog/spdlog.h>

#include <span>
#include <variant>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/types.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

void PostgresSession::begin_reply_event(std::size_t bytes) {
  begin_event();
  counters().server_in.add(bytes);
}

void PostgresSession::on_connected(Upstream& up) {
  begin_event();
  interlay_.connect_succeeded(up.side());
  end_event();
}

void PostgresSession::on_raw(std::string_view bytes) { send(bytes); }

void PostgresSession::send(std::string_view bytes) {
  client_.write(bytes);
  counters().client_out.add(bytes.size());
}

void PostgresSession::hand_on(Goes goes, std::string_view bytes) {
  if (goes == Goes::Nowhere) return;
  // More is not kept: what comes then is as good as a first row.
  const bool much =
      goes == Goes::Kept && on_trial_ && trial_kept_.size() + bytes.size() > settings().segment_max;
  if (much) succeed();
  if (goes == Goes::Kept && on_trial_) {
    trial_kept_.append(bytes);
  } else if (goes == Goes::Held) {
    hold(bytes);
  } else if (goes != Goes::Compared) {
    send(bytes);
  }
}

namespace {
// Replies that say no more than which message they answer, as far as a session goes.
bool says_little(char type) {
  switch (type) {
    case from_server::kBindComplete:
    case from_server::kCloseComplete:
    case from_server::kCommandComplete:
    case from_server::kNoData:
    case from_server::kParameterDescription:
    case from_server::kParseComplete:
    case from_server::kPortalSuspended:
    case from_server::kRowDescription:
      return true;
    default:
      return false;
  }
}
}  // namespace

// Nobody but the client waits for what this server says.
bool PostgresSession::passes_by(const Upstream& up) const {
  return phase_ == Phase::Ready && !shadow_ && !dual_ && !on_trial_ && !asking_ &&
         &up == &server() && up.holds.asked.empty() && up.holds.giving_id == 0;
}

std::size_t PostgresSession::on_replies(Upstream& up, std::string_view bytes) {
  if (!passes_by(up)) return 0;
  const std::uint64_t ignored_through = up.holds.ignored_through;
  std::size_t size = 0;
  while (size < bytes.size()) {
    const std::string_view rest = bytes.substr(size);
    const char type = rest[0];
    const bool rows = from_server::is_row(type);
    if (!rows && !says_little(type)) break;
    const std::size_t some = rows ? run_of(type, rest).size : whole_size(rest, kServerSmallMax);
    if (some == 0) break;
    const std::string_view body = rest.substr(kHeaderSize, rows ? 0 : some - kHeaderSize);
    std::uint64_t id = up.owed().arrived_at_end(type);
    if (id <= ignored_through) {
      const Arrival arrival =
          id == 0 ? up.owed().arrived({type}) : Answer{Belongs::Reply, Mark::Forward, id, true};
      const auto* const answer = std::get_if<Answer>(&arrival);
      if (!answer || answer->mark != Mark::Forward || answer->id <= ignored_through) {
        send(bytes.substr(0, size));
        hand_on(note_arrival(up, arrival, type, body), rest.substr(0, some));
        return size + some;
      }
      id = answer->id;
    }
    if (watched_) note_answered(id, type, body);
    size += some;
  }
  if (size > 0) send(bytes.substr(0, size));
  return size;
}

// Cost of a result: one look per run of rows.
void PostgresSession::on_rows(Upstream& up, char type, std::string_view rows) {
  if (is_copy(up)) return on_copy_rows(up, type, rows);
  if (asking_ && &up == &server()) {
    MessageCutter cutter(Stream::Server);
    for (std::size_t at = 0; at < rows.size();) {
      const Cut cut = cutter.next(rows.substr(at));
      const auto& row = std::get<Piece>(cut);  // they are whole
      note_reply(up, {.type = type}, row.body());
      at += row.bytes.size();
    }
    return;
  }
  const Goes goes = note_reply(up, {.type = type}, {});
  hand_on(goes, rows);
  if (shadow_) shadow_->on_rows(Side::Old, up.passing_id, type, rows);
  if (dual_under_way()) look_at_rows(up, goes, type, rows);
}

void PostgresSession::on_reply(Upstream& up, const Piece& piece) {
  if (is_copy(up)) return on_copy_reply(up, piece);
  const bool told = asking_ && &up == &server() && piece.type == from_server::kDataRow;
  if (told) return on_inventory_piece(up, piece);
  if (piece.first()) up.passing = note_first(up, piece);
  if (phase_ == Phase::Login && hide_plus(up, piece)) return;
  hand_on(up.passing, piece.bytes);
  if (on_trial_ && up.passing == Goes::Kept) hide_tables(piece);
  if (shadow_) shadow_->on_piece(Side::Old, up.passing_id, piece, now_ns_);
  if (dual_under_way()) look_at(up, up.passing, piece);
}

// What was kept last of a trial. The client asks old which table an OID means.
void PostgresSession::hide_tables(const Piece& piece) {
  const bool described =
      piece.type == from_server::kRowDescription && piece.first() && piece.whole();
  if (!described || trial_kept_.size() < piece.bytes.size()) return;
  forget_tables(std::span(trial_kept_).last(piece.bytes.size()).subspan(kHeaderSize));
}

Goes PostgresSession::note_first(Upstream& up, const Piece& piece) {
  if (piece.type == from_server::kErrorResponse) {
    counters().errors[index(up.side())].add();
  } else if (phase_ == Phase::Login) {
    note_login(up, piece);
  }
  if (const auto message = server_message_of(piece)) return note_reply(up, *message, piece.body());
  on_garbled(up, "no server sends this");
  return Goes::Nowhere;
}

Goes PostgresSession::note_reply(Upstream& up, const ServerMessage& message,
                                 std::string_view body) {
  return note_arrival(up, up.owed().arrived(message), message.type, body);
}

Goes PostgresSession::note_arrival(Upstream& up, const Arrival& arrival, char type,
                                   std::string_view body) {
  const auto* answer = std::get_if<Answer>(&arrival);
  up.passing_id = 0;
  if (!answer) {
    on_garbled(up, std::get<Broken>(arrival).reason);
    return Goes::Nowhere;
  }
  switch (answer->belongs) {
    case Belongs::Aside:
      return note_aside(up, *answer, type);
    case Belongs::LastWords:
      return note_last_words(up, body);
    case Belongs::Reply:
      break;
  }
  const Ring<Asked>& asked = up.holds.asked;
  const bool alone =
      !asked.empty() && asked.front().id == answer->id && asked.front().what == Asked::What::Alone;
  if (answer->id != 0) note_asked(up, answer->id, type, body);
  if (alone) return Goes::Nowhere;
  const bool ignored = answer->id != 0 && answer->id <= up.holds.ignored_through;
  if (ignored) return Goes::Nowhere;
  if (answer->mark == Mark::Skip) return note_injected(up, *answer, type, body);
  up.passing_id = answer->id;
  if (answer->mark == Mark::Compare) return on_second_answer(up, *answer, type, body);
  return note_answer(up, *answer, type, body);
}

// Notices, settings and notifications: of the server that is talked to, and not of what we asked.
Goes PostgresSession::note_aside(Upstream& up, const Answer& answer, char type) {
  if (type == from_server::kParameterStatus && &up == &server()) note_setting(up);
  if (dual_ && up.side() == dual_->second()) return Goes::Nowhere;
  // A notice of our COMMIT comes before the answer that is held until that.
  const bool precedes = type == from_server::kNoticeResponse && dual_under_way() &&
                        dual_->stage == DualTransaction::Stage::FirstCommit;
  const bool behind = dual_under_way() && dual_->holds() && &up == &server() && !precedes;
  if (behind && answer.mark != Mark::Skip) return Goes::Held;
  if (type == from_server::kNotificationResponse) return Goes::Client;
  if (&up != &server() || answer.mark == Mark::Skip) return Goes::Nowhere;
  return on_trial_ ? Goes::Kept : Goes::Client;
}

// A server closes: it matters if it is the one that is talked to.
// Whoever terminates the backend whose pid the client was told means the session.
Goes PostgresSession::note_last_words(Upstream& up, std::string_view body) {
  const auto report = view_report(body);
  const bool meant = report && report->sqlstate == "57P01" && up.side() == write_side();
  const bool elsewhere = &up != &server();
  if (elsewhere ? !meant || !server().at_boundary() : can_do_without(up)) return Goes::Nowhere;
  if (phase_ == Phase::Login) {
    const bool password = report && report->sqlstate == "28P01";
    counters().refused(password ? LoginRefused::Password : LoginRefused::Server);
  }
  last_words_ = true;
  if (on_trial_) succeed();  // as far as it has come
  // What is run there would be run for nobody.
  if (elsewhere && server().owed().owes() && !canceller_) cancel_for_nobody(server());
  return Goes::Client;
}

Goes PostgresSession::note_answer(Upstream& up, const Answer& answer, char type,
                                  std::string_view body) {
  if (on_trial_) {
    const Goes goes = on_trial_reply(type, body);
    if (goes == Goes::Kept) trial_answers_.emplace_back(answer.id, type);
    if (goes != Goes::Client) return goes;
  }
  if (watched_) note_answered(answer.id, type, body);
  if (type == from_server::kReadyForQuery) {
    if (phase_ == Phase::Login) {
      phase_ = Phase::Ready;
      logged_in_ = true;
      up.logged_in();
      for (const auto& [name, value] : up.parameters) append_parameter(told_, name, value);
      note_setting(up);
    }
    settle(up, answer.id);
  }
  return dual_under_way() ? on_first_answer(type, body) : Goes::Client;
}

// Each of them, also of those that pass by many at once.
void PostgresSession::note_answered(std::uint64_t id, char type, std::string_view body) {
  state_.answered(id, type, body);
  if (dual_under_way()) return;
  const NewOnly::Counts counts = new_only_.answered(id, type, body);
  if (counts != NewOnly::Counts::Nothing) count(counts);
}

// What comes before the first sign of success is kept.
Goes PostgresSession::on_trial_reply(char type, std::string_view body) {
  // The client asks old what the OIDs of types mean.
  if (tells_user_type(type, body) && can_fall_back()) {
    fall_back();
    return Goes::Nowhere;
  }
  switch (type) {
    case from_server::kErrorResponse:
      if (trial_cancelled_ || !can_fall_back()) break;
      fall_back();
      return Goes::Nowhere;
    case from_server::kParseComplete:
    case from_server::kBindComplete:
    case from_server::kCloseComplete:
    case from_server::kNoData:
    case from_server::kParameterDescription:
    case from_server::kRowDescription:
      return Goes::Kept;
    default:
      break;
  }
  succeed();
  return Goes::Client;
}

// To messages of ours. One that fails among the client's own makes the server skip these, too: its
// error is theirs.
Goes PostgresSession::note_injected(Upstream& up, const Answer& answer, char type,
                                    std::string_view body) {
  if (is_ours(up, answer.id)) return on_ours(type, body);
  const bool failed = type == from_server::kErrorResponse;
  const bool ready = type == from_server::kReadyForQuery;
  if (answer.id != 0 && answer.id >= up.holds.giving_first_id && answer.id <= up.holds.giving_id) {
    if (failed) up.holds.refused = true;
    if (ready && answer.id == up.holds.giving_id) on_given(up);
    return Goes::Nowhere;
  }
  if (asking_ && &up == &server()) {
    if (type == from_server::kDataRow) on_inventory_row(body);
    if (failed) on_inventory_failed(body);
    if (ready) on_inventory_told();
    return Goes::Nowhere;
  }
  if (!failed) return Goes::Nowhere;
  if (&up != &server()) {
    on_second_skipped(up);
    return Goes::Nowhere;
  }
  if (dual_under_way()) return on_first_answer(type, body);
  new_only_.failed();
  return on_trial_ ? on_trial_reply(type, {}) : Goes::Client;
}

// The settings that say how SQL is read.
void PostgresSession::note_setting(const Upstream& up) {
  const auto value = [&](const char* name) {
    const auto found = up.parameters.find(name);
    return found == up.parameters.end() ? std::string_view() : std::string_view(found->second);
  };
  reading_ = reading_of(value("standard_conforming_strings"), value("client_encoding"));
}

// What a client does next hangs on how far its login has come.
void PostgresSession::note_login(Upstream& up, const Piece& piece) {
  if (piece.type == from_server::kAuthentication) {
    const auto asked = view_authentication(piece.body());
    if (!asked) return;
    password_wanted_ = asked->kind != Auth::Ok && asked->kind != Auth::SaslFinal;
    if (asked->kind == Auth::Ok && cutter_.at_boundary()) cutter_.continue_as(Stream::Client);
  } else if (piece.type == from_server::kBackendKeyData) {
    const auto key = view_backend_key(piece.body());
    if (!key) return;
    up.pid = key->pid;
    up.secret = key->key;
    told_pid_ = up.pid;
    loop().postgres().cancel_keys.add(interlay_.id(), up.pid, up.secret, handle_);
    listed_ = true;
  }
}

// Everything up to that message is answered.
void PostgresSession::settle(Upstream& up, std::uint64_t id) {
  interlay_.answer_succeeded(up.side(), now_ns_);
  std::uint64_t answered = 0;
  Sent all;
  while (!sent_.empty() && sent_.front().id <= id) {
    const Sent& one = sent_.front();
    counters().leg[static_cast<std::size_t>(up.side())].record(now_ns_ - one.at_ns);
    all.defines = all.defines || one.defines;
    all.commits = all.commits || one.commits;
    ++answered;
    sent_.pop();
  }
  settle_definitions(all);
  answered_in_event_ += answered;
  const bool over = !up.owed().owes() && up.owed().transaction() == Transaction::Idle;
  if (over && lone_) lone_->clear();
  const bool failed =
      dual_ && !dual_under_way() && server().owed().transaction() == Transaction::Failed;
  if (failed) release_failed();
  // While nothing but messages of ours is owed, this is what is known.
  if (!up.owed().owes()) block_ = block();
}

// Of what has been answered. A transaction may have been committed while another one is open by
// now, and what stands behind that COMMIT in its unit may define, too.
void PostgresSession::settle_definitions(const Sent& answered) {
  defines_ |= answered.defines;
  const bool ended = server().owed().transaction() == Transaction::Idle;
  if (!defines_ || !(ended || answered.commits)) return;
  defines_ = answered.defines && !ended;
  // The catalog is read from old, which is not to run it before new has: then it is read again.
  if (dual_under_way() && dual_->first == Side::New) dual_->defines = true;
  ring_redefined();
}

// More may be redefined than what is committed now.
bool PostgresSession::may_define() const {
  if (defines_ || defining_ || (dual_ && dual_->defines)) return true;
  for (std::size_t i = 0; i < sent_.size(); ++i) {
    if (sent_.at(i).defines) return true;
  }
  return false;
}

// The catalog is to be read again, and until then what was redefined is not believed.
void PostgresSession::ring_redefined() {
  const CatalogDoor& catalog = loop().postgres().catalog;
  const Redefined redefined = may_define() ? reader_.redefined() : reader_.take_redefined();
  if (catalog.changed) catalog.changed(interlay_.id(), redefined);
}

// The session ends: the server may yet commit what was not answered.
void PostgresSession::ring_unsettled() {
  if (!may_define()) return;
  defines_ = defining_ = false;
  sent_.clear();
  ring_redefined();
}

void PostgresSession::end_reply_event() {
  end_event();
  if (answered_in_event_ == 0) return;
  counters().proxy.record(uv_hrtime() - now_ns_ + request_cost_ns_, answered_in_event_);
  request_cost_ns_ = answered_in_event_ = 0;
}

void PostgresSession::on_garbled(Upstream& up, const char* reason) {
  interlay_.failed(up.side(), Interlay::Failure::Answer, now_ns_);
  spdlog::warn("interlay {}: {} endpoint '{}' sent what is no answer: {}", interlay_.id(),
               name_of(up.side()), up.address().id, reason);
  if (!go_on_without(up)) lose_server("sent what is no answer");
}

// Called outside of an event: the connection ended by itself.
void PostgresSession::on_lost(Upstream& up, const char* reason) {
  begin_event();
  if (up.state() == Upstream::State::Connecting) {
    interlay_.failed(up.side(), Interlay::Failure::Connect, now_ns_);
  } else if (!last_words_ && !client_ended_ && phase_ != Phase::Raw &&
             phase_ != Phase::Cancelling) {
    counters().failures[static_cast<std::size_t>(up.side())].add();
  }
  if (!go_on_without(up)) lose_server(reason);
  end_event();
}

// It has only ever been read from, and the client has seen nothing of what is asked.
bool PostgresSession::can_do_without(const Upstream& up) const {
  const bool idle = sent_.empty() && reads_there_ && !read_only_block_ && !client_ended_;
  const bool unseen = on_trial_ || idle;
  return phase_ == Phase::Ready && &up == &server() && unseen && !last_words_ && can_fall_back();
}

// True: the session does without it.
bool PostgresSession::go_on_without(Upstream& up) {
  if (&up != &server()) {
    if (is_copy(up)) fail_copies(Drop::ConnectionLost);
    up.close();
    if (dual_ && up.side() == dual_->second()) second_lost(Drop::ConnectionLost);
    return !last_words_;
  }
  if (!can_do_without(up)) return false;
  if (on_trial_) interlay_.failed(up.side(), Interlay::Failure::Answer, now_ns_);
  up.close();
  if (on_trial_) {
    counters().fallbacks_unanswered.add();
    fall_back();
    return true;
  }
  current_ = Side::Old;
  reads_there_ = false;
  return true;
}

// The client is told, unless it knows, or is in the midst of a message.
void PostgresSession::lose_server(const char* reason) {
  const bool connecting = server().state() == Upstream::State::Connecting;
  if (phase_ == Phase::Raw && connecting && greeted_ == Greeting::Tls) {
    return say_unsupported(kSslCode);  // it was not to be told of the client's second SSLRequest
  }
  const bool silent = last_words_ || client_ended_ || phase_ == Phase::Raw ||
                      phase_ == Phase::Cancelling || !server().at_boundary();
  if (silent) return close_client();
  if (phase_ == Phase::Login) counters().refused(LoginRefused::Unreachable);
  if (connecting && !server().asked()) {
    return say_and_close("08006", unreachable(server().side()));
  }
  say_and_close("08006", "crossfade: the connection to " + std::string(name_of(server().side())) +
                             " endpoint '" + server().address().id + "' was lost: " + reason);
}

}  // namespace crossfade::postgres
