// Connecting to a side, and cutting its bytes into replies and pushes.
#include "proxy/redis/upstream.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <iterator>
#include <utility>

#include "proxy/loop.h"
#include "proxy/redis/session.h"

namespace crossfade::redis {

namespace {
// A pub/sub confirmation is kept until it is whole, to read its count. Channel names are short.
constexpr std::size_t kConfirmationMax = 64 * 1024;
}  // namespace

// A name lookup under way; outlives an upstream that closes meanwhile.
struct Upstream::Resolving {
  uv_getaddrinfo_t request;
  Upstream* upstream;
};

Upstream::Upstream(RedisSession& session, Loop& loop, Side side)
    : session_(session), loop_(loop), stream_(loop, *this), owed_(side), side_(side) {}

Upstream::~Upstream() {
  if (resolving_) resolving_->upstream = nullptr;
}

const EndpointAddress& Upstream::address() const { return *route_->at(side_); }

void Upstream::open(InterlayRoutePtr route, std::uint64_t now_ns) {
  assert(state_ == State::Idle);
  route_ = std::move(route);
  state_ = State::Connecting;
  opened_at_ns = progress_at_ns = now_ns;
  applied = ConnectionState{};
  applied_version = 0;
  expects_messages = monitoring = in_push_ = confirms_ = broken_ = false;
  scanner_.reset();
  heard = unconfirmed = false;
  client = ServersClient{};
  identified = false;
  stream_.expect_connect();
  resolve(now_ns);
}

void Upstream::close() {
  assert(owed_.empty());
  if (resolving_) std::exchange(resolving_, nullptr)->upstream = nullptr;
  stream_.close();
  std::string().swap(kept_);
  count_gated(0 - gated_bytes_);
  gates_.clear();
  finish_after_gates_ = false;
  state_ = State::Idle;
}

void Upstream::open_gate(std::uint32_t number, std::string_view first) {
  const auto gate = std::find_if(gates_.begin(), gates_.end(),
                                 [number](const Gate& one) { return one.number == number; });
  assert(gate != gates_.end());
  const std::string waiting = std::move(gate->waiting);
  if (gate == gates_.begin()) {
    gates_.erase(gate);
    count_gated(0 - waiting.size());
    stream_.write_copy(first);
    stream_.write_copy(waiting);
  } else {
    std::string& before = std::prev(gate)->waiting;
    before.append(first).append(waiting);
    gates_.erase(gate);
    count_gated(first.size());
  }
  if (gates_.empty() && finish_after_gates_) finish();
}

void Upstream::finish() {
  if (!gates_.empty()) {
    finish_after_gates_ = true;
  } else {
    stream_.shutdown_when_sent();
  }
}

void Upstream::resolve(std::uint64_t) {
  const EndpointAddress& to = address();
  addresses_.clear();
  sockaddr_storage numeric{};
  if (uv_ip4_addr(to.host.c_str(), to.port, reinterpret_cast<sockaddr_in*>(&numeric)) == 0 ||
      uv_ip6_addr(to.host.c_str(), to.port, reinterpret_cast<sockaddr_in6*>(&numeric)) == 0) {
    addresses_.push_back(numeric);
    connect_next();
    return;
  }
  auto* resolving = new Resolving{{}, this};
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  const int error = uv_getaddrinfo(
      loop_.uv(), &resolving->request,
      [](uv_getaddrinfo_t* request, int status, addrinfo* found) {
        const std::unique_ptr<Resolving> own(reinterpret_cast<Resolving*>(request));
        if (Upstream* self = own->upstream) {
          self->resolving_ = nullptr;
          for (addrinfo* one = found; status == 0 && one; one = one->ai_next) {
            sockaddr_storage address{};
            std::memcpy(&address, one->ai_addr, one->ai_addrlen);
            self->addresses_.insert(self->addresses_.begin(), address);
          }
          self->connect_next();
          self->loop_.bury();
        }
        uv_freeaddrinfo(found);
      },
      to.host.c_str(), std::to_string(to.port).c_str(), &hints);
  if (error != 0) {
    delete resolving;
    session_.defer_loss(*this);
    return;
  }
  resolving_ = resolving;
}

// Sets `tls` where the endpoint has it; false when that cannot be spoken.
bool Upstream::begin_tls(std::unique_ptr<TlsEngine>& tls) {
  if (!address().tls) return true;
  auto handle = address().tls.end->begin(address().host);
  if (!handle) {
    refusal_ = handle.error().reason;
    return false;
  }
  tls = std::make_unique<TlsEngine>(std::move(*handle), TlsEngine::Role::Client);
  return true;
}

void Upstream::connect_next() {
  refusal_ = "cannot connect";
  while (!addresses_.empty()) {
    const sockaddr_storage to = addresses_.back();
    addresses_.pop_back();
    std::unique_ptr<TlsEngine> tls;
    if (!begin_tls(tls)) break;
    if (stream_.connect(
            reinterpret_cast<const sockaddr*>(&to),
            [](StreamOwner& owner, int status) { static_cast<Upstream&>(owner).connected(status); },
            std::move(tls))) {
      return;
    }
  }
  session_.defer_loss(*this);
}

void Upstream::connected(int status) {
  const bool shook_hands = stream_.tls() && (status == 0 || stream_.securing());
  if (shook_hands) session_.on_handshake(*this, status);
  if (status != 0) {
    if (addresses_.empty()) {
      session_.on_lost(*this, shook_hands ? stream_.tls_why() : uv_err_name(status));
    } else {
      connect_next();
    }
    return;
  }
  addresses_.shrink_to_fit();
  state_ = State::Ready;
  progress_at_ns = uv_hrtime();
  stream_.read_start();
  session_.on_connected(*this);
}

void Upstream::on_end(int status) {
  const bool tls_broke = status == UV_EPROTO && stream_.tls();
  session_.on_lost(*this, tls_broke ? stream_.tls_why() : uv_err_name(status));
}

void Upstream::on_room() { session_.on_upstream_room(); }

void Upstream::on_bytes(std::string_view bytes) {
  session_.begin_event();
  progress_at_ns = session_.now_ns();
  session_.count_server_in(bytes.size());
  if (kept_.empty()) {
    take(bytes);
  } else {
    const std::string joined = std::exchange(kept_, std::string()).append(bytes);
    take(joined);
    session_.flush();
  }
  if (broken_) {
    broken_ = false;
    session_.on_garbled(*this);
  }
  session_.end_reply_event();
}

void Upstream::take(std::string_view bytes) {
  while (!bytes.empty() && !broken_ && state_ == State::Ready) {
    Exchange* front = owed_.front();
    if (front && front->form == Exchange::Form::Raw && session_.hears_raw(*front, bytes)) {
      session_.on_reply(*this, *front, bytes, 0, 0);
      return;
    }
    if (scanner_.at_boundary()) {
      const Frame frame = classify(bytes);
      if (frame == Frame::Hold) {
        kept_.assign(bytes);
        return;
      }
      in_push_ = frame == Frame::Push;
    }
    bytes.remove_prefix(in_push_ ? take_push(bytes) : take_replies(*owed_.front(), bytes));
  }
}

bool Upstream::may_be_push(char first) const {
  return first == '>' || (monitoring && first == '+') ||
         (expects_messages && first == '*' && session_.awaits_messages(owed_.front()));
}

Upstream::Frame Upstream::classify(std::string_view rest) {
  confirms_ = false;
  Exchange* front = owed_.front();
  if (monitoring && rest[0] == '+') {
    if (rest.size() < 2) return Frame::Hold;
    if (rest[1] >= '0' && rest[1] <= '9') return Frame::Push;
  } else if (may_be_push(rest[0])) {
    const Push push = classify_push(rest);
    if (push.kind == PushKind::NeedMore && rest.size() < kConfirmationMax) return Frame::Hold;
    if (push.kind == PushKind::Message) return Frame::Push;
    if (push.kind == PushKind::Subscribed || push.kind == PushKind::Unsubscribed) {
      if (front && front->form == Exchange::Form::PubSub) {
        if (front->frames < 0) front->frames = session_.confirmations_due(front->effect);
        confirms_ = true;
      }
      session_.on_subscription(*this, push);
      return confirms_ ? Frame::Reply : Frame::Push;
    }
  }
  // Without a request of ours: an error before the connection is closed, or replies to requests
  // whose CLIENT REPLY OFF was refused. The client gets it as the server sent it.
  return front ? Frame::Reply : Frame::Push;
}

std::size_t Upstream::take_push(std::string_view rest) {
  const ReplyScanner::Step step = scanner_.advance(rest);
  if (step.state == ReplyScanner::State::Broken) {
    broken_ = true;
    return rest.size();
  }
  session_.on_push(*this, rest.substr(0, step.consumed),
                   step.state == ReplyScanner::State::Complete);
  return step.consumed;
}

std::size_t Upstream::take_replies(Exchange& front, std::string_view rest) {
  // `count` is what the answering side still owes; a second leg is never part of a run.
  // So is a dual write's answer: each of its replies is looked at by itself.
  const std::uint32_t wanted = front.answer == side_ && !front.dual ? front.count : 1;
  assert(wanted > 0);
  std::size_t used = 0;
  std::uint32_t complete = 0;
  std::uint32_t errors = 0;
  while (used < rest.size() && complete < wanted) {
    if (complete > 0 && may_be_push(rest[used])) break;  // its role is decided anew
    const ReplyScanner::Step step = scanner_.advance(rest.substr(used));
    if (step.state == ReplyScanner::State::Broken) {
      broken_ = true;
      break;
    }
    used += step.consumed;
    if (step.state == ReplyScanner::State::NeedMore) break;
    const bool error = scanner_.type() == '-' || scanner_.type() == '!';
    if (confirms_ && --front.frames > 0) {
      // One confirmation of several: the exchange goes on.
      confirms_ = false;
      break;
    }
    ++complete;
    if (error) ++errors;
  }
  session_.on_reply(*this, front, rest.substr(0, used), complete, errors);
  return broken_ ? rest.size() : used;
}

}  // namespace crossfade::redis
