// The only file that includes hiredis: its reader cuts the replies. Bytes are sent here, as they
// are, since hiredis would move what is left of a large command after every write.
#include "movement/redis_connection.h"

#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "protocols/redis/reply.h"

namespace crossfade {

namespace {

// Copies a reply; hiredis bounds its depth.
RedisReply copy_of(const redisReply& reply) {
  RedisReply copy;
  switch (reply.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      copy.type = RedisReply::Type::Text;
      copy.text.assign(reply.str, reply.len);
      break;
    case REDIS_REPLY_ERROR:
      copy.type = RedisReply::Type::Error;
      copy.text.assign(reply.str, reply.len);
      break;
    case REDIS_REPLY_INTEGER:
      copy.type = RedisReply::Type::Number;
      copy.number = reply.integer;
      break;
    case REDIS_REPLY_ARRAY:
      copy.type = RedisReply::Type::Array;
      copy.elements.reserve(reply.elements);
      for (std::size_t i = 0; i < reply.elements; ++i) {
        copy.elements.push_back(copy_of(*reply.element[i]));
      }
      break;
    default:
      break;  // nil
  }
  return copy;
}

// What a server says of a login, without what it may repeat of it: one that does not know AUTH, or
// is no Redis, quotes the password.
std::string words_of_login(const std::string& refusal, const std::string& password) {
  for (const char* known : {"WRONGPASS ", "NOPERM ", "ERR AUTH <password> called without any "}) {
    if (refusal.starts_with(known) && refusal.find(password) == refusal.npos) return refusal;
  }
  return "the server refuses AUTH (its words are left out: they may repeat the password)";
}

struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};

// Appends a command in the protocol's form.
void append(const RedisCommand& command, std::string& out) {
  out += '*' + std::to_string(command.size()) + "\r\n";
  for (const std::string_view argument : command) {
    out += '$' + std::to_string(argument.size()) + "\r\n";
    out += argument;
    out += "\r\n";
  }
}

}  // namespace

void RedisConnection::Closer::operator()(redisContext* context) const noexcept {
  redisFree(context);
}

Error RedisConnection::lost_for(std::string reason) {
  lost_ = true;
  return Error{Errc::Unavailable, "ask endpoint '" + endpoint_ + "'", std::move(reason)};
}

Error RedisConnection::failure() { return lost_for(context_->errstr); }

Result<RedisConnection> RedisConnection::open(const EndpointAddress& address,
                                              std::uint32_t timeout_ms, std::stop_token stop) {
  const std::string doing = "connect to endpoint '" + address.id + "'";
  const Deadline end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  auto socket = dial(address.host, address.port, end, stop);
  if (!socket) return Error{socket.error().code, doing, socket.error().reason};
  redisContext* context = redisConnectFd(*socket);
  if (context == nullptr) {
    ::close(*socket);
    return Error{Errc::System, doing, "out of memory"};
  }
  context->flags &= ~REDIS_BLOCK;  // as the socket is: EAGAIN is no error
  RedisConnection connection(context, address.id, timeout_ms, std::move(stop));
  connection.call_ends_ = end;
  if (Status secured = connection.secure(address); !secured) {
    return Error{secured.error().code, doing, secured.error().reason};
  }
  if (Status status = connection.log_in(address); !status) return status.error();
  return connection;
}

Status RedisConnection::secure(const EndpointAddress& address) {
  if (!address.tls) return success();
  auto handle = address.tls.end->begin(address.host);
  if (!handle) return handle.error();
  tls_ = std::make_unique<TlsSocket>(std::move(*handle), context_->fd, TlsSocket::Role::Client);
  for (;;) {
    const TlsSocket::Step step = tls_->handshake();
    if (step.outcome == TlsSocket::Outcome::Some) return success();
    auto now = moved(step);
    if (!now) return now.error();
    if (Status ready = wait(now->awaits); !ready) {
      return Error{ready.error().code, "", "TLS: " + ready.error().reason};
    }
  }
}

Result<RedisConnection::Moved> RedisConnection::moved(const TlsSocket::Step& step) {
  switch (step.outcome) {
    case TlsSocket::Outcome::Some:
      return Moved{step.size, 0};
    case TlsSocket::Outcome::AwaitsRead:
      return Moved{0, POLLIN};
    case TlsSocket::Outcome::AwaitsWrite:
      return Moved{0, POLLOUT};
    case TlsSocket::Outcome::Closed:
      return lost_for("the connection is lost");
    case TlsSocket::Outcome::Failed:
      return lost_for("TLS: " + tls_->why());
  }
  return Moved{};
}

Status RedisConnection::log_in(const EndpointAddress& address) {
  const auto refused = [&](const char* doing, const std::string& words) {
    return Error{Errc::BadConfig, std::string(doing) + " endpoint '" + endpoint_ + "'", words};
  };
  if (!address.password.empty()) {
    std::vector<std::string_view> arguments{"AUTH"};
    if (!address.username.empty()) arguments.emplace_back(address.username);
    arguments.emplace_back(address.password);
    auto reply = call(arguments);
    if (!reply) return reply.error();
    if (reply->is_error())
      return refused("log in to", words_of_login(reply->text, address.password));
  }
  if (address.db != 0) {
    auto reply = call({"SELECT", std::to_string(address.db)});
    if (!reply) return reply.error();
    if (reply->is_error()) return refused("select the database of", reply->text);
  }
  return success();
}

Result<RedisReply> RedisConnection::call(const RedisCommand& command) {
  auto replies = call_all({&command, 1});
  if (!replies) return replies.error();
  return std::move(replies->front());
}

Result<std::vector<RedisReply>> RedisConnection::call_all(std::span<const RedisCommand> commands) {
  if (Status sent = send(commands); !sent) return sent.error();
  return receive();
}

Status RedisConnection::send(std::span<const RedisCommand> commands) {
  if (Status begun = begin_call(); !begun) return begun.error();
  std::size_t size = 0;
  for (const RedisCommand& command : commands) {
    for (const std::string_view argument : command) size += argument.size() + 32;
  }
  std::string bytes;
  bytes.reserve(size);
  for (const RedisCommand& command : commands) append(command, bytes);
  owed_ = commands.size();
  return write(bytes);
}

// Refuses where an answer is missing; sets the time limit.
Status RedisConnection::begin_call() {
  if (lost_ || owed_ > 0) return lost_for("an earlier answer is missing");
  if (stop_.stop_requested()) {
    return Error{Errc::Unavailable, "ask endpoint '" + endpoint_ + "'", "stopped"};
  }
  // One limit for all of it: not one that begins anew with every byte that comes.
  const auto now = std::chrono::steady_clock::now();
  call_ends_ = end_by_ == Deadline::max() ? now + std::chrono::milliseconds(timeout_ms_) : end_by_;
  return success();
}

Status RedisConnection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    auto now = write_some(bytes);
    if (!now) return now.error();
    bytes.remove_prefix(now->size);
    if (now->awaits == 0) continue;
    if (Status ready = wait(now->awaits); !ready) {
      lost_ = true;  // half a command was sent: nothing can follow it
      return ready;
    }
  }
  return success();
}

Result<RedisConnection::Moved> RedisConnection::write_some(std::string_view bytes) {
  if (tls_) return moved(tls_->write(bytes));
  const ssize_t sent = ::send(context_->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) return Moved{static_cast<std::size_t>(sent), 0};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return Moved{0, POLLOUT};
  if (errno == EINTR) return Moved{};
  return lost_for(std::generic_category().message(errno));
}

// Waits until there is something to read, and reads it: one byte at least.
Result<std::size_t> RedisConnection::read_some(std::span<char> into) {
  for (;;) {
    Moved now{0, POLLIN};
    if (tls_) {  // it may have read on already
      auto read = moved(tls_->read(into.data(), into.size()));
      if (!read) return read.error();
      now = *read;
    }
    if (now.size > 0) return now.size;
    if (Status ready = wait(now.awaits); !ready) return ready.error();
    if (tls_) continue;
    const ssize_t got = ::recv(context_->fd, into.data(), into.size(), 0);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0) return lost_for("the connection is lost");
    if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
      return lost_for(std::generic_category().message(errno));
    }
  }
}

Status RedisConnection::wait(short events) {
  const std::string doing = "ask endpoint '" + endpoint_ + "'";
  switch (wait_for(context_->fd, events, call_ends_, stop_)) {
    case Waited::Ready:
      return success();
    case Waited::Late:
      late_ = true;
      return Error{Errc::Unavailable, doing, "no answer in time"};
    case Waited::Stopped:
      return Error{Errc::Unavailable, doing, "stopped"};
  }
  return success();
}

Result<RedisReply> RedisConnection::next() {
  void* reply = nullptr;
  for (;;) {
    if (redisGetReplyFromReader(context_.get(), &reply) != REDIS_OK) return failure();
    if (reply != nullptr) break;
    std::array<char, 16 << 10> piece;
    auto got = read_some(piece);
    if (!got) return got.error();
    if (redisReaderFeed(context_->reader, piece.data(), *got) != REDIS_OK) {
      return lost_for("out of memory");
    }
  }
  --owed_;
  return copy_of(*std::unique_ptr<redisReply, FreeReply>(static_cast<redisReply*>(reply)));
}

Result<std::vector<RedisReply>> RedisConnection::receive() {
  std::vector<RedisReply> replies;
  replies.reserve(owed_);
  while (owed_ > 0) {
    auto reply = next();
    if (!reply) return reply.error();
    replies.push_back(std::move(*reply));
  }
  return replies;
}

bool RedisConnection::has_ended() {
  if (tls_) {  // tickets come unasked, and are none of our business
    const TlsSocket::Outcome seen = tls_->look().outcome;
    lost_ = lost_ ||
            (seen != TlsSocket::Outcome::AwaitsRead && seen != TlsSocket::Outcome::AwaitsWrite);
    return lost_;
  }
  char byte = 0;
  const ssize_t got = ::recv(context_->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  const bool nothing_yet = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
  lost_ = lost_ || !nothing_yet;  // what it says unasked is no reply
  return lost_;
}

bool RedisConnection::answer_waits() const {
  char byte = 0;
  const ssize_t got = ::recv(context_->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void RedisConnection::keep_alive(std::chrono::seconds within) {
  constexpr int kProbes = 3;
  const int seconds = std::max(1, static_cast<int>(within.count()) / (kProbes + 1));
  const int on = 1;
  setsockopt(context_->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(context_->fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  setsockopt(context_->fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
  setsockopt(context_->fd, IPPROTO_TCP, TCP_KEEPCNT, &kProbes, sizeof kProbes);
}

Result<std::string> RedisConnection::call_raw(std::string_view request, std::size_t reply_max) {
  if (Status begun = begin_call(); !begun) return begun.error();
  owed_ = 1;
  if (Status sent = write(request); !sent) return sent.error();
  redis::ReplyScanner scanner;
  std::string reply;
  while (owed_ > 0) {
    std::array<char, 16 << 10> piece;
    auto got = read_some(piece);
    if (!got) {
      lost_ = true;  // a part of the reply is gone: nobody can read the rest
      return got.error();
    }
    const auto step = scanner.advance({piece.data(), *got});
    if (step.state == redis::ReplyScanner::State::Broken) return lost_for("no reply of Redis");
    if (reply.size() + step.consumed > reply_max) {
      Error error = lost_for("the reply is longer than " + std::to_string(reply_max) + " bytes");
      error.code = Errc::Overloaded;
      return error;
    }
    reply.append(piece.data(), step.consumed);
    if (step.state == redis::ReplyScanner::State::NeedMore) continue;
    if (step.consumed < *got) return lost_for("more than one reply");
    owed_ = 0;
  }
  return reply;
}

Result<std::vector<RedisReply>> RedisConnection::receive_late(std::uint32_t timeout_ms) {
  if (lost_) return lost_for("an earlier answer is missing");
  call_ends_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  return receive();
}

}  // namespace crossfade
