// Waiting for bytes, cutting them, and the login in between.
#include "movement/postgres_wire.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <random>
#include <system_error>
#include <utility>
#include <variant>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/login_client.h"
#include "protocols/postgres/scram_message.h"
#include "protocols/postgres/startup.h"
#include "protocols/postgres/types.h"

namespace crossfade {

namespace {

using postgres::Piece;
namespace from_server = postgres::from_server;

constexpr std::size_t kReadSize = 16 << 10;  // bytes read at once

std::string fresh_nonce() {
  std::random_device chance;
  std::array<char, 18> bytes;
  for (char& byte : bytes) byte = static_cast<char>(chance() & 0xff);
  return postgres::nonce_of({bytes.data(), bytes.size()});
}

postgres::LoginSetup setup_of(const EndpointAddress& address, bool encrypted) {
  using postgres::Cleartext;
  postgres::LoginSetup setup{.user = address.username,
                             .credentials = postgres::NoCredentials{},
                             .cleartext = encrypted ? Cleartext::Allowed : Cleartext::Refused,
                             .nonce = fresh_nonce(),
                             .certificate_hash = {}};
  if (!address.password.empty()) {
    setup.credentials = postgres::Password{.text = address.password, .known = {}};
  }
  return setup;
}

// A server that says no to anybody just now, in classes 53 and 57, says nothing about us.
Error refusal_of(std::string_view body, std::string doing) {
  const auto report = postgres::view_report(body);
  if (!report) return {Errc::Unavailable, std::move(doing), "an error that cannot be read"};
  const bool later = report->sqlstate.starts_with("53") || report->sqlstate.starts_with("57");
  return {later ? Errc::Unavailable : Errc::BadConfig, std::move(doing),
          std::string(report->message)};
}

std::string start_up_of(const EndpointAddress& address, const PostgresWire::Entry& entry) {
  std::string parameters, packet;
  postgres::append_parameter(parameters, "user", address.username);
  const std::string& database = entry.database.empty() ? address.database : entry.database;
  if (!database.empty()) postgres::append_parameter(parameters, "database", database);
  postgres::append_start_up(packet, postgres::Version{}, parameters + entry.parameters);
  return packet;
}

// A login under way: told the server's messages, it has what to answer, and how it ended.
class Entering {
 public:
  enum class State : std::uint8_t { Under, Entered, Failed };

  explicit Entering(postgres::LoginSetup setup) : login_(std::move(setup)) {}

  // False: something is to be sent first, or it is over.
  bool goes_on(const Piece& piece) {
    if (piece.type == from_server::kAuthentication) advance(piece.body());
    if (piece.type == from_server::kErrorResponse) fail(refusal_of(piece.body(), ""));
    if (piece.type == from_server::kReadyForQuery) end();
    return state_ == State::Under && answer_.empty();
  }
  std::string take_answer() { return std::exchange(answer_, {}); }
  State state() const { return state_; }
  const Error& error() const { return error_; }

 private:
  void advance(std::string_view body) {
    const auto asked = postgres::view_authentication(body);
    if (!asked) return fail({Errc::Unavailable, "", "no message of a login"});
    const postgres::LoginStep step =
        login_.advance(static_cast<std::uint32_t>(asked->kind), asked->data);
    let_in_ = std::holds_alternative<postgres::LoginDone>(step);
    if (const auto* error = std::get_if<Error>(&step)) fail(*error);
    if (const auto* reply = std::get_if<postgres::LoginReply>(&step)) {
      postgres::append_sasl_response(answer_, reply->body);  // of all answers the frame is this one
    }
  }
  void end() {
    if (!let_in_) return fail({Errc::Unavailable, "", "ready before it has let anybody in"});
    if (state_ == State::Under) state_ = State::Entered;
  }
  void fail(Error error) {
    state_ = State::Failed;
    error_ = std::move(error);
  }

  postgres::LoginClient login_;
  std::string answer_;
  Error error_;
  State state_ = State::Under;
  bool let_in_ = false;  // AuthenticationOk has come
};

}  // namespace

PostgresWire::Socket::~Socket() {
  if (number_ >= 0) ::close(number_);
}

Error PostgresWire::lost_for(std::string reason) const {
  return Error{Errc::Unavailable, "ask endpoint '" + endpoint_ + "'", std::move(reason)};
}

Result<PostgresWire> PostgresWire::open(const EndpointAddress& address, const Entry& entry,
                                        std::uint32_t timeout_ms, std::stop_token stop) {
  const std::string doing = "connect to endpoint '" + address.id + "'";
  if (address.username.empty()) {
    return Error{Errc::BadConfig, doing, "it has no user of its own, and rights are not lent"};
  }
  const Deadline end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  auto socket = dial(address.host, address.port, end, stop);
  if (!socket) return Error{socket.error().code, doing, socket.error().reason};
  PostgresWire connection(*socket, address.id, timeout_ms, std::move(stop));
  connection.ends_ = end;
  if (Status secured = connection.secure(address); !secured) {
    return Error{secured.error().code, doing, secured.error().reason};
  }
  if (Status entered = connection.log_in(address, entry); !entered) {
    return Error{entered.error().code, doing, entered.error().reason};
  }
  return connection;
}

Status PostgresWire::secure(const EndpointAddress& address) {
  if (!address.tls) return success();
  std::string request;
  postgres::append_ssl_request(request);
  if (Status sent = write(request); !sent) return sent;
  char answer = '\0';  // no more is read: what stands behind it is not encrypted, or the handshake
  if (auto got = read_some({&answer, 1}); !got) return got.error();
  const auto granted = postgres::view_encryption_answer(answer);
  if (granted == postgres::EncryptionAnswer::Refused &&
      address.tls.settings.mode == TlsMode::Prefer) {
    return success();
  }
  if (granted != postgres::EncryptionAnswer::Tls) return lost_for("the server does not speak TLS");
  auto handle = address.tls.end->begin(address.host);
  if (!handle) return handle.error();
  tls_ = std::make_unique<TlsSocket>(std::move(*handle), socket_.get(), TlsSocket::Role::Client);
  for (;;) {
    const TlsSocket::Step step = tls_->handshake();
    if (step.outcome == TlsSocket::Outcome::Some) return success();
    auto now = moved(step);
    if (!now) return now.error();
    if (Status ready = wait(now->awaits); !ready) return ready;
  }
}

Status PostgresWire::log_in(const EndpointAddress& address, const Entry& entry) {
  const std::string packet = start_up_of(address, entry);
  if (packet.size() > postgres::kStartUpMax) return lost_for("too many parameters");
  if (Status sent = write(packet); !sent) return sent;
  Entering entering(setup_of(address, tls_ != nullptr));
  while (entering.state() == Entering::State::Under) {
    Status read = read_messages([&](const Piece& piece) { return entering.goes_on(piece); });
    if (!read) return read;
    if (Status sent = write(entering.take_answer()); !sent) return sent;
  }
  if (entering.state() == Entering::State::Failed) return entering.error();
  cutter_.continue_as(postgres::Stream::Server);
  return success();
}

Status PostgresWire::ask(std::string_view messages, std::size_t turns, std::size_t bytes_max,
                         const Take& take) {
  ends_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms_);
  if (turns == 0) return success();
  if (Status sent = write(messages); !sent) return sent;
  std::size_t bytes = 0;
  bool fatal = false;
  Status read = read_messages([&](const Piece& piece) {
    bytes += piece.bytes.size();
    if (bytes > bytes_max) return false;
    if (piece.first()) {
      fatal = piece.type == from_server::kErrorResponse && postgres::ends_connection(piece.body());
      if (piece.type == from_server::kReadyForQuery) --turns;
    }
    take(piece);
    return turns > 0 && !fatal;
  });
  if (!read) return read;
  if (fatal) return lost_for("the server has ended the connection");
  if (bytes > bytes_max) {
    return Error{Errc::Overloaded, "ask endpoint '" + endpoint_ + "'",
                 "it answers more than " + std::to_string(bytes_max) + " bytes"};
  }
  return success();
}

// Hands over pieces as they come, until `take` says false.
Status PostgresWire::read_messages(const std::function<bool(const Piece&)>& take) {
  for (;;) {
    std::size_t taken = 0;
    bool more = true;
    while (more) {
      const postgres::Cut cut = cutter_.next(std::string_view(held_).substr(taken));
      if (std::holds_alternative<postgres::NeedMore>(cut)) break;
      if (const auto* broken = std::get_if<postgres::Broken>(&cut)) return lost_for(broken->reason);
      const Piece& piece = std::get<Piece>(cut);
      taken += piece.bytes.size();
      more = take(piece);
    }
    held_.erase(0, taken);
    if (!more) return success();
    std::array<char, kReadSize> some;
    auto got = read_some(some);
    if (!got) return got.error();
    held_.append(some.data(), *got);
  }
}

Status PostgresWire::write(std::string_view bytes) {
  while (!bytes.empty()) {
    Moved now{0, POLLOUT};
    if (tls_) {
      auto step = moved(tls_->write(bytes));
      if (!step) return step.error();
      now = *step;
    } else if (const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
               sent >= 0) {
      now = {static_cast<std::size_t>(sent), 0};
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      return lost_for(std::generic_category().message(errno));
    }
    bytes.remove_prefix(now.size);
    if (now.awaits == 0) continue;
    if (Status ready = wait(now.awaits); !ready) return ready;
  }
  return success();
}

// Waits until there is something to read, and reads it: one byte at least.
Result<std::size_t> PostgresWire::read_some(std::span<char> into) {
  for (;;) {
    Moved now{0, POLLIN};
    if (tls_) {
      auto step = moved(tls_->read(into.data(), into.size()));
      if (!step) return step.error();
      now = *step;
    } else if (const ssize_t got = ::recv(socket_.get(), into.data(), into.size(), 0); got > 0) {
      now.size = static_cast<std::size_t>(got);
    } else if (got == 0) {
      return lost_for("the connection is lost");
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      return lost_for(std::generic_category().message(errno));
    }
    if (now.size > 0) return now.size;
    if (Status ready = wait(now.awaits); !ready) return ready.error();
  }
}

Result<PostgresWire::Moved> PostgresWire::moved(const TlsSocket::Step& step) const {
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

Status PostgresWire::wait(short events) const {
  switch (wait_for(socket_.get(), events, ends_, stop_)) {
    case Waited::Ready:
      return success();
    case Waited::Late:
      return lost_for("no answer in time");
    case Waited::Stopped:
      return lost_for("stopped");
  }
  return success();
}

}  // namespace crossfade
