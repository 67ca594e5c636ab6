// From one server to another: the next one is entered, the one before is asked what the session
// holds there, and the next one is given that. Then it is the one that is talked to.
//
// Nothing of this is in flight while the client's messages are: a side is left when it owes nothing
// and no transaction is open.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"
#include "proxy/clock.h"
#include "proxy/loop.h"
#include "proxy/postgres/session.h"

namespace crossfade::postgres {

namespace {
// A new server that did not let a session in is not asked by it again before.
constexpr std::uint64_t kAloneNs = 2'000 * kNsPerMs;
// A question that was cancelled is asked again.
constexpr unsigned kAttemptsMax = 4;
constexpr std::uint64_t kNoVersion = ~std::uint64_t{0};
}  // namespace

PostgresSession::Crossing PostgresSession::go_to(Side side, Errand errand) {
  wanted_side_ = side;
  const auto wait = [this](Wait why) {
    wait_ = why;
    return Crossing::Waits;
  };
  if (server().owed().owes()) return wait(Wait::Answers);
  Upstream& to = at(side);
  // Of another table: who is that side now is another server.
  const bool strange =
      to.state() != Upstream::State::Idle && !(to.address() == *newest_route()->at(side));
  if (strange) to.close();
  const bool tried = errand == Errand::Trial;
  // Whether it owes more only its next reply can tell, and that needs a request.
  if (!server().owed().settled()) return current_ == write_side() ? Crossing::Stays : stay();
  switch (to.state()) {
    case Upstream::State::Idle:
      if (errand == Errand::Unit && !may_enter(side)) return end_unlent(side);
      if (tried && now_ns_ < alone_until_ns_)
        return unavailable(side, errand, "it was not entered");
      if (!enter(side)) return unavailable(side, errand, "it is down");
      return wait(Wait::Entry);
    case Upstream::State::Connecting:
    case Upstream::State::Entering:
      if (tried && late_to_answer(to.opened_at_ns)) return unavailable(side, errand, "it is slow");
      return wait(Wait::Entry);
    case Upstream::State::Open:
      break;
  }
  if (given_up(to)) {
    if (tried) return unavailable(side, errand, "it is busy");
    to.close();  // entering has a limit, and that has none
    if (!enter(side)) return unavailable(side, errand, "it is down");
    return wait(Wait::Entry);
  }
  return cross(to, errand);
}

// It runs what was tried there in vain, or a cancel of that is on its way, which must not hit what
// comes next.
bool PostgresSession::given_up(const Upstream& up) const {
  const bool runs = up.owed().owes() && up.holds.giving_id == 0;
  return runs || may_be_hit(up);
}

// By a cancel of what it ran before.
bool PostgresSession::may_be_hit(const Upstream& up) const {
  return nobodys_canceller_ && nobodys_canceller_->to() == up.address() &&
         nobodys_canceller_->began_at_ns() >= up.opened_at_ns;
}

// A read that was to be tried elsewhere stays with the server that is right; a session that has to
// go over ends.
PostgresSession::Crossing PostgresSession::unavailable(Side side, Errand errand,
                                                       const std::string& why) {
  if (errand == Errand::Follow) return Crossing::Stays;
  if (errand == Errand::Unit) {
    say_and_close("08006", unreachable(side) + ": " + why);
    return Crossing::Gone;
  }
  return current_ == write_side() ? Crossing::Stays : go_to(write_side(), Errand::Unit);
}

// It is let in there when it logs in itself.
PostgresSession::Crossing PostgresSession::end_unlent(Side side) {
  counters().sessions_ended.add();
  say_and_close("57P01",
                "crossfade: terminating connection because its interlay has moved to another "
                "server, and user \"" +
                    login_.user + "\" is not the one of " + std::string(name_of(side)) +
                    " endpoint '" + newest_route()->at(side)->id + "', connect again");
  return Crossing::Gone;
}

// What the session holds goes first.
PostgresSession::Crossing PostgresSession::cross(Upstream& to, Errand errand) {
  const auto there = [&] {
    server().stream().flush();  // views of what is read now: later they would be of something else
    current_ = to.side();
    staying_since_ns_ = 0;
    return Crossing::There;
  };
  if (errand != Errand::Trial && speaks_of_other_types(to.side())) return stay();
  if (to.holds.version == version_) return there();
  if (asking_) {
    wait_ = Wait::Telling;
    return Crossing::Waits;
  }
  if (inventory_version_ != version_) {
    ask_inventory();
    wait_ = Wait::Telling;
    return Crossing::Waits;
  }
  if (tied() || to.holds.refused) return stay();
  if (to.holds.giving_id == 0 && !begin_giving(to)) return there();
  if (errand == Errand::Trial && late_to_answer(to.holds.giving_since_ns)) {
    return unavailable(to.side(), errand, "it is slow");
  }
  wait_ = Wait::Giving;
  return Crossing::Waits;
}

// Nobody waits longer for a server that need not be asked.
bool PostgresSession::late_to_answer(std::uint64_t since_ns) const {
  const std::uint64_t limit_ns = settings().second_leg_timeout_ms * kNsPerMs;
  return limit_ns != 0 && now_ns_ > since_ns + limit_ns;
}

// It stays with a server that is right for it, or was until its table changed: until a limit.
PostgresSession::Crossing PostgresSession::stay() {
  if (reads_there_) {
    say_and_close("57P01",
                  "crossfade: terminating connection because what this session holds on the new "
                  "server can not be given to the old one (" +
                      std::string(name_of(what_ties())) + "), connect again");
    return Crossing::Gone;
  }
  if (current_ != write_side() && staying_since_ns_ == 0) {
    staying_since_ns_ = now_ns_;
    loop().mark_busy(*this);
  }
  return Crossing::Stays;
}

bool PostgresSession::enter(Side side) {
  if (!may_enter(side)) {
    if (alone_until_ns_ == 0) counters().one_sided.add();
    alone_until_ns_ = now_ns_ + kAloneNs;
    return false;
  }
  const auto use = side == write_side() ? Interlay::Use::Needed : Interlay::Use::Dispensable;
  if (!interlay_.try_now(side, use, now_ns_)) return false;
  const InterlayRoutePtr& route = newest_route();
  Entry entry = entry_at(side);
  for (const std::string_view name : kKeptSettings) {
    const auto told = find_parameter(told_, name);  // not what was set since, which can be reset
    const bool asked = find_parameter(entry.parameters, name).has_value();
    if (told && !asked) append_parameter(entry.parameters, name, *told);
  }
  loop().mark_busy(*this);
  return at(side).enter(side, route, std::move(entry), Upstream::Shown::Nothing, now_ns_);
}

void PostgresSession::on_entered(Upstream& up) { interlay_.answer_succeeded(up.side(), now_ns_); }

void PostgresSession::on_not_entered(Upstream& up, const std::string& why) {
  if (phase_ == Phase::Login) return home_not_entered(why);
  const Side side = up.side();
  if (is_copy(up)) shadow_->refused = up.state() == Upstream::State::Entering;
  up.close();
  counters().failures[index(side)].add();
  spdlog::debug("interlay {}: a session was not let in by the {} side: {}", interlay_.id(),
                name_of(side), why);
  if (side != write_side()) {
    if (alone_until_ns_ == 0) counters().one_sided.add();
    alone_until_ns_ = now_ns_ + kAloneNs;
  } else if (held_ == Held::Side && wait_ == Wait::Entry) {
    say_and_close("08006", unreachable(side) + ": " + why);
  }
}

// --- what the session holds

void PostgresSession::ask_inventory(unsigned attempt) {
  SettingNames names = interlay_.classifier(database_).catalog().settings();
  names.insert(custom_.begin(), custom_.end());
  std::string question;
  append_inventory_question(question, names);
  for (const char type : kInventoryMessages) server().owed().sent({type}, Mark::Skip);
  server().stream().write_copy(question);
  server().stream().flush();
  counters().server_out.add(question.size());
  asking_ = std::make_unique<InventoryReader>(find_parameter(start_up_, "user").value_or(""),
                                              version_, attempt);
  inventory_ = Inventory();
}

// A row that comes in pieces. One that is too long to be kept is none.
void PostgresSession::on_inventory_piece(Upstream& up, const Piece& piece) {
  if (piece.first()) asked_row_.clear();
  const std::string_view bytes = piece.first() ? piece.body() : piece.bytes;
  const bool fits = asked_row_.size() + bytes.size() <= settings().statements_max;
  if (fits) asked_row_ += bytes;
  if (!fits) inventory_.ties.add(Tie::Untold);
  if (!piece.last()) return;
  note_reply(up, {.type = piece.type}, asked_row_);
  asked_row_ = {};
}

void PostgresSession::on_inventory_row(std::string_view body) {
  if (!asking_->on_row(body)) inventory_.ties.add(Tie::Untold);
}

// A cancel may come late: what it was meant for has been answered.
void PostgresSession::on_inventory_failed(std::string_view body) {
  const auto report = view_report(body);
  if (report && report->sqlstate == "57014" && asking_->attempt() < kAttemptsMax) {
    asking_->cancel();
  } else {
    inventory_.ties.add(Tie::Untold);
  }
}

void PostgresSession::on_inventory_told() {
  if (asking_->cancelled()) return ask_again();
  const bool untold = inventory_.ties.has(Tie::Untold);
  inventory_ = asking_->take();
  const std::uint64_t version = asking_->version();  // what was sent since may have changed it
  asking_.reset();
  const bool lost = state_.kept() == Kept::NotAll || custom_lost_ ||
                    !interlay_.classifier(database_).catalog().has_all_settings();
  if (untold || lost || reading_ == SqlReading::Foreign) {
    inventory_.ties.add(Tie::Untold);
  }
  inventory_version_ = version;
  server().holds.version = version;
  server().holds.settings = inventory_.settings;
  take_over_statements();
}

// Where the client has asked for something meanwhile, the next question would stand behind that,
// and perhaps in its transaction: then it is put when the answer is needed again.
void PostgresSession::ask_again() {
  const unsigned attempts = asking_->attempt();
  asking_.reset();
  inventory_version_ = kNoVersion;
  const OwedReplies& owed = server().owed();
  if (!owed.owes() && owed.transaction() == Transaction::Idle) return ask_inventory(attempts + 1);
  if (shadow_) shadow_->asked = kNoVersion;
}

// Statements that SQL has made are given with the settings; those made by Parse when they are used.
void PostgresSession::take_over_statements() {
  std::vector<PreparedText> by_sql;
  bool all_told = true;
  for (PreparedText& statement : inventory_.statements) {
    if (statement.by == PreparedText::By::Sql) {
      const auto facts = interlay_.classifier(database_).facts_of(statement.text, reading_);
      auto prepare = prepare_of(*facts, statement.text, statement.name);
      all_told &= prepare.has_value();
      if (!prepare) continue;
      statement.text = *std::move(prepare);
      by_sql.push_back(std::move(statement));
    } else if (statements_unseen_ && !state_.find(statement.name)) {
      std::string message;
      append_parse(message, statement.name, statement.text, statement.types);
      const std::uint64_t serial = state_.next_serial();
      const bool types = std::ranges::any_of(statement.types, is_user_type);
      if (types && !types_of_) types_of_ = current_;
      const auto& facts = interlay_.classifier(database_).facts_of(statement.text, reading_);
      state_.prepared(statement.name, {std::move(message), serial, facts_with_types(facts, types)});
      server().holds.statements.insert_or_assign(statement.name, serial);
    }
  }
  forget_dropped();
  if (!all_told) inventory_.ties.add(Tie::Untold);
  const bool sure = !inventory_.ties.has(Tie::Untold) && inventory_version_ == version_;
  if (sure) reader_.told_prepared(interlay_.classifier(database_), by_sql);
  statements_unseen_ = false;
  inventory_.statements = by_sql;
  server().holds.by_sql = std::move(by_sql);
}

// Statements made by Parse that SQL has dropped: they were there, and are not told. What was sent
// behind the question is not answered yet: of what that has brought or made nothing was told.
void PostgresSession::forget_dropped() {
  if (inventory_.ties.has(Tie::Untold)) return;
  std::set<std::string_view> told;
  const Ring<Asked>& asked = server().holds.asked;
  for (std::size_t i = 0; i < asked.size(); ++i) told.insert(asked.at(i).name);
  for (const PreparedText& text : inventory_.statements) {
    if (text.by == PreparedText::By::Parse) told.insert(text.name);
  }
  auto& there = server().holds.statements;
  for (auto one = there.begin(); one != there.end();) {
    const SessionState::Statement* const statement = state_.find(one->first);
    const bool made = one->second != 0 && statement && statement->serial == one->second;
    const bool quiet = state_.underway(one->first) == SessionState::Underway::Nothing;
    if (made && quiet && !told.contains(one->first)) {
      state_.dropped(one->first);
      one = there.erase(one);
    } else {
      ++one;
    }
  }
}

// False: there is nothing to be given.
bool PostgresSession::begin_giving(Upstream& to) {
  auto texts = settings_queries(inventory_.settings, to.holds.settings);
  // A name of SQL's that is taken there by what a Parse has made.
  for (const PreparedText& statement : inventory_.statements) {
    const auto taken = to.holds.statements.find(statement.name);
    const bool given = std::ranges::find(to.holds.by_sql, statement) != to.holds.by_sql.end();
    if (given || taken == to.holds.statements.end() || taken->second == 0) continue;
    texts.push_back(deallocate_query(statement.name));
    to.holds.statements.erase(taken);
  }
  for (std::string& text : statement_queries(inventory_.statements, to.holds.by_sql)) {
    texts.push_back(std::move(text));
  }
  if (texts.empty()) {
    to.holds.version = version_;
    return false;
  }
  std::string queries;
  to.holds.giving_first_id = 0;
  for (const std::string& text : texts) {
    const std::size_t before = queries.size();
    append_query(queries, text);
    const std::size_t size = queries.size() - before;
    to.holds.giving_id = to.owed().sent({from_client::kQuery, '\0', size}, Mark::Skip);
    if (to.holds.giving_first_id == 0) to.holds.giving_first_id = to.holds.giving_id;
  }
  to.holds.giving_since_ns = now_ns_;
  to.holds.given = inventory_;
  to.holds.given_version = inventory_version_;
  to.holds.unnamed = 0;
  to.stream().write_copy(queries);
  to.stream().flush();
  counters().server_out.add(queries.size());
  return true;
}

void PostgresSession::on_given(Upstream& up) {
  up.holds.giving_first_id = up.holds.giving_id = 0;
  if (up.holds.refused) {
    spdlog::debug("interlay {}: the {} side did not take what a session holds", interlay_.id(),
                  name_of(up.side()));
    return;
  }
  up.holds.settings = std::move(up.holds.given.settings);
  up.holds.by_sql = std::move(up.holds.given.statements);
  up.holds.version = up.holds.given_version;
}

// --- without a request

bool PostgresSession::entering() const {
  const auto enters = [](const Upstream& up) {
    return up.state() == Upstream::State::Connecting || up.state() == Upstream::State::Entering;
  };
  return std::ranges::any_of(upstreams_, enters);
}

// Servers that are being entered have as long as any.
void PostgresSession::check_entries() {
  const std::uint64_t limit_ns = settings().connect_timeout_ms * kNsPerMs;
  for (Upstream& up : upstreams_) {
    const bool entering =
        up.state() == Upstream::State::Connecting || up.state() == Upstream::State::Entering;
    if (!entering || &up == &server() || limit_ns == 0 || now_ns_ <= up.opened_at_ns + limit_ns) {
      continue;
    }
    counters().hit(Limit::ConnectTimeout);
    if (up.try_next_address(now_ns_)) continue;
    interlay_.failed(up.side(), Interlay::Failure::Connect, now_ns_);
    on_not_entered(up, "it did not let the session in in time");
  }
}

// What a session holds is taken at once, or never.
void PostgresSession::check_giving() {
  const std::uint64_t limit_ns = settings().answer_timeout_ms * kNsPerMs;
  if (held_ != Held::Side || wait_ != Wait::Giving || limit_ns == 0) return;
  const Upstream& to = at(wanted_side_);
  if (to.holds.giving_id == 0 || now_ns_ <= to.holds.giving_since_ns + limit_ns) return;
  counters().hit(Limit::AnswerTimeout);
  interlay_.failed(to.side(), Interlay::Failure::Answer, now_ns_);
  unavailable(to.side(), Errand::Unit, "it did not take in time what the session holds");
}

// A server that is slow is not waited for, and what it runs for nobody is ended.
void PostgresSession::check_trial() {
  if (!on_trial_ || !late_to_answer(trial_began_ns_)) return;
  // A side that answers others is not down for one that is slow.
  const bool silent = interlay_.answered_at_ns(server().side()) < trial_began_ns_;
  if (silent) interlay_.failed(server().side(), Interlay::Failure::Answer, now_ns_);
  if (!canceller_) cancel_for_nobody(server());
  counters().fallbacks_unanswered.add();
  fall_back();
}

// A migration that is finished: what was new is the interlay's endpoint now. A session that is on
// that server stays with it, under its new name, whatever it is doing.
void PostgresSession::change_places() {
  const InterlayRoutePtr& route = newest_route();
  if (placed_ == route || phase_ != Phase::Ready) return;
  if ((placed_ ? placed_->sql_apis : nullptr) != route->sql_apis) forget_forms();
  const EndpointAddress* const here = route->at(current_);
  const EndpointAddress* const there = route->at(other(current_));
  const EndpointAddress& own = server().address();
  const bool changed = !(here && *here == own) && there && *there == own;
  if (!changed) {
    placed_ = route;
    return;
  }
  const bool between = on_trial_ || held_ == Held::Side || asking_ || shadow_ || dual_;
  if (between || server().stream().unsent() > 0) return;  // soon
  placed_ = route;
  std::swap(places_[0], places_[1]);
  current_ = other(current_);
  if (types_of_) types_of_ = other(*types_of_);
  server().be(current_, route);
  reads_there_ = read_only_block_ = false;
  Upstream& left = at(other(current_));
  left.close();
  at(Side::Old).stream().set_gauge(nullptr);
  at(Side::New).stream().set_gauge(&interlay_.unsent[index(Side::New)]);
}

// An idle session goes over when all has gone over: who listens, or holds a lock, has to be told.
void PostgresSession::follow() {
  if (!watched_ || reads_there_ || client_ended_ || !safe_point()) return;
  if (current_ == write_side()) return;
  const bool nothing_held = version_ == 0 && server().holds.version == 0;
  if (nothing_held || staying_since_ns_ != 0) return;
  go_to(write_side(), Errand::Follow);
}

std::optional<Stay> PostgresSession::why_it_stays() const {
  if (!watched_ || phase_ != Phase::Ready || reads_there_ || current_ == write_side()) {
    return std::nullopt;
  }
  if (!safe_point()) return Stay::Transaction;
  const Stay why = what_ties();
  if (why == Stay::Unreachable && staying_since_ns_ == 0) {
    return std::nullopt;  // it goes over with its next request
  }
  return why;
}

// Of a session that can not go over.
Stay PostgresSession::what_ties() const {
  if (!server().owed().settled()) return Stay::Transaction;
  if (speaks_of_other_types(write_side())) return Stay::Types;
  constexpr std::pair<Tie, Stay> kReasons[] = {
      {Tie::Listens, Stay::Listens},         {Tie::TempObject, Stay::TempObject},
      {Tie::HeldCursor, Stay::HeldCursor},   {Tie::SessionLock, Stay::SessionLock},
      {Tie::SessionUser, Stay::SessionUser}, {Tie::Untold, Stay::Untold}};
  for (const auto& [tie, stay] : kReasons) {
    if (tied() && inventory_.ties.has(tie)) return stay;
  }
  return at(other(current_)).holds.refused ? Stay::Refused : Stay::Unreachable;
}

void PostgresSession::show_stay(std::optional<Stay> why) {
  if (why == stays_) return;
  if (stays_) counters().staying[static_cast<std::size_t>(*stays_)].sub();
  if (why) counters().staying[static_cast<std::size_t>(*why)].add();
  stays_ = why;
}

void PostgresSession::check_staying() {
  if (staying_since_ns_ == 0 || !safe_point()) return;
  if (current_ == write_side()) {
    staying_since_ns_ = 0;
    return;
  }
  const std::uint64_t limit_ns = settings().side_change_wait_ms * kNsPerMs;
  if (now_ns_ < staying_since_ns_ + limit_ns) return;
  counters().hit(Limit::SideChangeWait);
  end_tied();
}

void PostgresSession::end_tied() {
  counters().sessions_ended.add();
  say_and_close("57P01",
                "crossfade: terminating connection because its interlay has moved to another "
                "server, and this session can not go over (" +
                    std::string(name_of(what_ties())) + "); connect again");
}

}  // namespace crossfade::postgres
