// Accepting clients, and the list of an interlay's sessions.
#include "proxy/interlay.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cassert>
#include <utility>

#include "proxy/loop.h"
#include "proxy/postgres/session.h"
#include "proxy/redis/session.h"
#include "proxy/session.h"
#include "proxy/stream.h"

namespace crossfade {

namespace {
// A refused connection costs little to try again; a server that does not answer costs its time
// limit.
constexpr std::uint64_t kConnectBackoffMaxNs = 500'000'000;
constexpr std::uint64_t kAnswerBackoffMaxNs = 2'000'000'000;
}  // namespace

Interlay::Interlay(Loop& loop, InterlayRoutePtr route, Counted counted)
    : loop_(loop),
      route_(std::move(route)),
      counters_(std::move(counted.all)),
      api_counters_(std::move(counted.apis)) {
  for (auto& down : counters_->down) down.set(0);  // it may have had a namesake
  share_writes();
}

void Interlay::share_writes() {
  shared_writes_ = route_->new_side ? loop_.shared_writes().of(*route_) : nullptr;
  known_suspects_.follow(shared_writes_
                             ? std::shared_ptr<RepairRest>(shared_writes_, &shared_writes_->rest)
                             : nullptr);
}

Interlay::~Interlay() { assert(!sessions_); }

Interlay::Health::Health()
    : connect(kConnectBackoffMaxNs), answer(kAnswerBackoffMaxNs), stall(kConnectBackoffMaxNs) {}

void Interlay::failed(Side side, Failure failure, std::uint64_t now_ns) {
  Health& health = health_[index(side)];
  const bool was_down = health.down();
  switch (failure) {
    case Failure::Connect:
      health.connect.failed(now_ns);
      break;
    case Failure::Answer:
      health.answer.failed(now_ns);
      break;
    case Failure::Stall:
      health.stall.failed(now_ns);
      break;
  }
  counters_->failures[index(side)].add();
  show(side, was_down);
}

void Interlay::handshake_ended(Peer peer, const Stream& stream, int status) {
  if (status == 0) {
    counters_->ended(stream.tls()->resumed() ? Handshake::Resumed : Handshake::Full, peer);
    return;
  }
  counters_->ended(Handshake::Failed, peer);
  if (peer == Peer::Client) {
    spdlog::debug("interlay {}: a client's handshake failed: {}", id(), stream.tls_why());
  } else if (!down(peer == Peer::Old ? Side::Old : Side::New)) {
    spdlog::warn("interlay {}: the {} side was not taken: {}", id(), name_of(peer),
                 stream.tls_why());
  }
}

void Interlay::connect_succeeded(Side side) {
  const bool was_down = health_[index(side)].down();
  health_[index(side)].connect.succeeded();
  show(side, was_down);
}

void Interlay::heard_again(Side side) {
  health_[index(side)].connect.succeeded();
  health_[index(side)].answer.succeeded();
  health_[index(side)].stall.succeeded();
  show(side, true);
}

void Interlay::forget(Side side) {
  const bool was_down = health_[index(side)].down();
  health_[index(side)] = Health();
  answered_at_ns_[index(side)] = 0;
  open_door_[index(side)] = false;
  show(side, was_down);
}

void Interlay::show(Side side, bool was_down) {
  const bool down = health_[index(side)].down();
  if (down == was_down) return;
  counters_->down[index(side)].set(down ? 1 : 0);
  if (down) {
    spdlog::warn("interlay {}: {} side is down", id(), name_of(side));
  } else {
    spdlog::info("interlay {}: {} side is up again", id(), name_of(side));
  }
}

const InterlayRoutePtr& Interlay::route_of(const Session& session) const {
  return session.elsewhere_ ? route_->elsewhere : route_;
}

void Interlay::place(Session& session) const {
  session.elsewhere_ = false;
  if (!route_->elsewhere) return;
  const auto address = session.client_address();
  if (!address) return;
  const bool here = route_->region_migrated;
  session.elsewhere_ = region_migrated(route_->networks, *address).value_or(here) != here;
}

void Interlay::count_api(const ApiNames& names, std::uint32_t api, Side side) {
  const ApiNames* const newest = names_of(*route_);
  if (&names != newest) {  // planned by a former table
    const auto number = newest ? newest->number_of(names.names()[api]) : std::nullopt;
    if (!number) return;
    api = *number;
  }
  api_counters_[api]->requests[index(side)].add();
}

void Interlay::set_route(InterlayRoutePtr route, ApiCounters apis) {
  // What was learned of a server says nothing of the next one.
  if (!(route->old_side == route_->old_side)) forget(Side::Old);
  if (!(route->new_side == route_->new_side)) forget(Side::New);
  if (classifier_ && route->catalog && route->catalog != route_->catalog) {
    classifier_->adopt(route->catalog);
  }
  // Whether forms are read is for good.
  const bool other_forms = route->asks_forms() != route_->asks_forms();
  if (!(route->settings == route_->settings) || other_forms) {
    count_texts();
    classifier_ = nullptr;
    built_in_classifier_ = nullptr;
  }
  route_ = std::move(route);
  api_counters_ = std::move(apis);
  share_writes();
  for (Session* session = sessions_; session; session = session->next_) place(*session);
  for (Session* session = sessions_; session;) {
    Session* next = session->next_;
    session->on_route();
    session = next;
  }
  loop_.bury();
}

postgres::SqlClassifier& Interlay::classifier(std::string_view database) {
  const bool ours = route_->catalog && database == route_->catalog_database;
  auto& classifier = ours ? classifier_ : built_in_classifier_;
  if (!classifier) {
    classifier = std::make_unique<postgres::SqlClassifier>(
        ours ? route_->catalog : postgres::SqlCatalog::built_in(),
        postgres::SqlLimits{.sql_parse_max = route_->settings.sql_length_max,
                            .sql_cache_max = route_->settings.sql_cache_max},
        route_->asks_forms() ? postgres::Forms::Read : postgres::Forms::Unread);
  }
  return *classifier;
}

void Interlay::count_texts() {
  const auto add = [this](SqlText text, std::uint64_t times) {
    counters_->sql_texts[static_cast<std::size_t>(text)].add(times);
  };
  for (const auto* classifier : {&classifier_, &built_in_classifier_}) {
    if (!*classifier || !(*classifier)->counts().any()) continue;
    const postgres::SqlClassifier::Counts counts = (*classifier)->take_counts();
    add(SqlText::Cached, counts.hits);
    add(SqlText::Parsed, counts.parsed - counts.broken);
    add(SqlText::TooLong, counts.too_long);
    add(SqlText::Unclear, counts.unclear);
    add(SqlText::Broken, counts.broken);
    counters_->limits[static_cast<std::size_t>(Limit::SqlLengthMax)].add(counts.too_long);
  }
}

bool Interlay::listen(int fd) {
  auto* handle = new uv_tcp_t;
  if (uv_tcp_init(loop_.uv(), handle) != 0) {
    delete handle;
    ::close(fd);
    return false;
  }
  handle->data = this;
  listener_.reset(handle);
  if (uv_tcp_open(handle, fd) != 0) {
    listener_.reset();
    ::close(fd);
    return false;
  }
  draining_ = false;
  return uv_listen(reinterpret_cast<uv_stream_t*>(handle), kBacklog,
                   [](uv_stream_t* stream, int status) {
                     auto* self = static_cast<Interlay*>(stream->data);
                     if (self && status == 0) self->on_connection();
                   }) == 0;
}

void Interlay::on_connection() {
  auto* const listener = reinterpret_cast<uv_stream_t*>(listener_.get());
  switch (route_->old_side.kind) {
    case EndpointKind::Redis:
      redis::accept_session(*this, listener);
      break;
    case EndpointKind::Postgres:
      postgres::accept_session(*this, listener);
      break;
  }
  loop_.bury();
}

void Interlay::drain(std::function<void()> done) {
  draining_ = true;
  drained_ = std::move(done);
  for (Session* session = sessions_; session;) {
    Session* next = session->next_;
    session->drain();
    session = next;
  }
  loop_.bury();
  if (!sessions_ && drained_) std::exchange(drained_, nullptr)();
}

void Interlay::abort() {
  close_listener();
  for (Session* session = sessions_; session; session = session->next_) session->abort();
  loop_.bury();
}

void Interlay::join(Session& session) {
  session.next_ = sessions_;
  if (sessions_) sessions_->previous_ = &session;
  sessions_ = &session;
  counters_->sessions_open.add();
  counters_->sessions_total.add();
}

void Interlay::leave(Session& session) {
  (session.previous_ ? session.previous_->next_ : sessions_) = session.next_;
  if (session.next_) session.next_->previous_ = session.previous_;
  counters_->sessions_open.sub();
  if (draining_ && !sessions_ && drained_) std::exchange(drained_, nullptr)();
}

}  // namespace crossfade
