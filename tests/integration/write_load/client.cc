// What a client sends, and what it makes of the answers.
#include "tests/integration/write_load/client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "tests/integration/write_load/replies.h"

namespace crossfade::write_load {
namespace {

constexpr unsigned kPipelineMax = 8;
constexpr unsigned kBlockingOneIn = 8;  // clients
constexpr unsigned kOtherDbOneIn = 16;  // clients, in database 1
constexpr unsigned kResp3OneIn = 4;     // clients
constexpr unsigned kExclusiveOneIn = 3000;
constexpr std::uint64_t kRetryUs = 20'000;
constexpr std::size_t kReadBytes = 1 << 16;

std::string text_of(std::string_view reply) { return std::string(reply.substr(0, 80)); }

}  // namespace

std::uint64_t now_us() {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  return static_cast<std::uint64_t>(
      duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

Client::Client(Load& load, unsigned number)
    : load_(load),
      number_(number),
      db_(number % kOtherDbOneIn == 5 ? 1 : 0),
      blocks_(number % kBlockingOneIn == kBlockingOneIn - 1),
      resp3_(number % kResp3OneIn == 2),
      generator_(load.seed, number, load.keys, db_),
      legs_(load.ports.size()) {
  constexpr Register::Kind kKinds[] = {Register::Kind::String, Register::Kind::Hash,
                                       Register::Kind::Stream};
  for (std::size_t i = 0; i < registers_.size(); ++i) {
    registers_[i].kind = kKinds[i];
    registers_[i].db = db_;
    registers_[i].key =
        "r:" + std::to_string(load.seed) + ":" + std::to_string(number) + ":" + std::to_string(i);
  }
}

Client::~Client() { close_all(); }

// Connections

void Client::poll(Leg& leg, std::size_t index, bool out) {
  epoll_event event{};
  event.events = EPOLLIN | (out ? EPOLLOUT : 0u);
  event.data.u64 = std::uint64_t{number_} << 1 | index;
  leg.polls_out = out;
  if (epoll_ctl(load_.epoll, EPOLL_CTL_MOD, leg.fd, &event) != 0) {
    epoll_ctl(load_.epoll, EPOLL_CTL_ADD, leg.fd, &event);
  }
}

void Client::connect_all() {
  state_ = State::Connecting;
  watching_ = false;
  request_.clear();
  slots_.clear();
  for (std::size_t i = 0; i < legs_.size(); ++i) {
    Leg& leg = legs_[i];
    leg = Leg{};
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(load_.ports[i]);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    leg.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(leg.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(leg.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 &&
        errno != EINPROGRESS) {
      return lose(std::string("connect: ") + std::strerror(errno));
    }
    poll(leg, i, true);
  }
}

void Client::connected() {
  state_ = State::Working;
  if (resp3_) ask({"HELLO", "3"}, Owed::Other);
  if (db_ != 0) ask({"SELECT", std::to_string(db_)}, Owed::Other);
  if (slots_.empty()) return begin();
  began_us_ = now_us();
  for (std::size_t i = 0; i < legs_.size() && state_ == State::Working; ++i) push(i);
}

void Client::close_all() {
  for (Leg& leg : legs_) {
    if (leg.fd >= 0) close(leg.fd);
    leg.fd = -1;
  }
}

void Client::lose(const std::string& why) {
  close_all();
  slots_.clear();
  if (load_.stopping) {
    state_ = State::Ended;
    return;
  }
  ++load_.tally.lost;
  if (!load_.reconnect) {
    load_.tally.note_trouble("client " + std::to_string(number_) + " lost its connection: " + why);
    state_ = State::Ended;
    return;
  }
  state_ = State::Lost;
  retry_us_ = now_us() + kRetryUs;
}

void Client::tick(std::uint64_t now_us) {
  if (load_.over() && (state_ == State::Lost || (state_ == State::Working && slots_.empty()))) {
    state_ = State::Ended;
  }
  if (state_ == State::Lost && now_us >= retry_us_) connect_all();
}

std::uint64_t Client::waiting_us(std::uint64_t now_us) const {
  return slots_.empty() ? 0 : now_us - began_us_;
}

std::string Client::waits_for() const {
  const std::size_t at = legs_[0].answered;
  return "client " + std::to_string(number_) + " waits for reply " + std::to_string(at + 1) +
         " of " + std::to_string(slots_.size()) + " to " + request_.substr(0, 300);
}

void Client::ready(std::size_t index, std::uint32_t events) {
  Leg& leg = legs_[index];
  if (leg.fd < 0) return;
  if (state_ == State::Connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(leg.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return lose(std::string("connect: ") + std::strerror(error));
    leg.connected = true;
    poll(leg, index, false);
    if (std::all_of(legs_.begin(), legs_.end(), [](const Leg& l) { return l.connected; })) {
      connected();
    }
    return;
  }
  if ((events & EPOLLOUT) != 0) push(index);
  if (state_ == State::Working && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) pull(index);
}

void Client::push(std::size_t index) {
  Leg& leg = legs_[index];
  while (leg.sent < request_.size()) {
    const ssize_t n =
        send(leg.fd, request_.data() + leg.sent, request_.size() - leg.sent, MSG_NOSIGNAL);
    if (n > 0) {
      leg.sent += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      return poll(leg, index, true);
    } else if (errno != EINTR) {
      return lose(std::string("send: ") + std::strerror(errno));
    }
  }
  if (leg.polls_out) poll(leg, index, false);
}

void Client::pull(std::size_t index) {
  Leg& leg = legs_[index];
  const std::size_t before = leg.received.size();
  leg.received.resize(before + kReadBytes);
  const ssize_t n = recv(leg.fd, leg.received.data() + before, kReadBytes, 0);
  const int error = errno;
  leg.received.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  if (n < 0 && (error == EAGAIN || error == EINTR)) return;
  if (n <= 0) return lose(n == 0 ? "closed" : std::string("recv: ") + std::strerror(error));
  std::string_view rest = leg.received;
  while (!rest.empty()) {
    const Cut cut = cut_reply(rest, [&](std::string_view text) {
      if (index == 0) load_.tally.note_error(text);
    });
    if (cut.state == Cut::State::More) break;
    if (cut.state == Cut::State::Broken || leg.answered == slots_.size()) {
      ++load_.tally.disorder;
      load_.tally.note_trouble("client " + std::to_string(number_) + " was sent " +
                               (cut.state == Cut::State::Broken ? "no reply: " : "too much: ") +
                               text_of(rest));
      return lose("what it was sent");
    }
    if (index == 0) judge(slots_[leg.answered], rest.substr(0, cut.size));
    ++leg.answered;
    rest.remove_prefix(cut.size);
  }
  leg.received.erase(0, leg.received.size() - rest.size());
  if (!slots_.empty() && answered()) finish();
}

bool Client::answered() const {
  return std::all_of(legs_.begin(), legs_.end(),
                     [this](const Leg& leg) { return leg.answered == slots_.size(); });
}

// Replies

bool Client::fits(const Slot& slot, std::string_view reply) const {
  const char type = reply[0];
  if (type == '-') return true;  // counted where it was cut
  switch (slot.owed) {
    case Owed::Queued:
      return reply == "+QUEUED\r\n";
    case Owed::Multi:
      return reply == "+OK\r\n";
    case Owed::Exec:
      return type == '*' || type == '_';
    case Owed::Echo: {
      const std::string number = std::to_string(slot.number);
      return reply == "$" + std::to_string(number.size()) + "\r\n" + number + "\r\n";
    }
    case Owed::Register:
      return registers_[slot.which].kind == Register::Kind::String ? reply == "+OK\r\n"
             : registers_[slot.which].kind == Register::Kind::Hash ? type == ':'
                                                                   : type == '$';
    case Owed::Write:
    case Owed::Entry:
    case Owed::Other:
      return reply != "+QUEUED\r\n";
  }
  return false;
}

void Client::judge(const Slot& slot, std::string_view reply) {
  if (!fits(slot, reply)) {
    ++load_.tally.disorder;
    load_.tally.note_trouble("client " + std::to_string(number_) + ", reply " +
                             std::to_string(legs_[0].answered + 1) + ", cannot be " +
                             text_of(reply) + " to " + request_.substr(0, 300));
    return;
  }
  const bool error = reply[0] == '-';
  switch (slot.owed) {
    case Owed::Entry:
      ++load_.tally.writes;
      if (reply[0] == '$' && !reply.starts_with("$-1")) {
        const std::size_t at = reply.find("\r\n") + 2;
        generator_.note_entry(slot.text, std::string(reply.substr(at, reply.size() - at - 2)));
      }
      break;
    case Owed::Register: {
      ++load_.tally.writes;
      Register& one = registers_[slot.which];
      if (!error) {
        one.acked = slot.number;
        ++one.acks;
      }
      break;
    }
    case Owed::Write:
    case Owed::Queued:
      ++load_.tally.writes;
      break;
    case Owed::Exec:
      if (!error) {
        ++(reply[0] == '_' || reply.starts_with("*-1") ? load_.tally.conflicts
                                                       : load_.tally.transactions);
      }
      break;
    case Owed::Multi:
    case Owed::Other:
    case Owed::Echo:
      break;
  }
}

void Client::finish() {
  if (!blocks_) load_.tally.note_latency_us(static_cast<std::uint32_t>(now_us() - began_us_));
  request_.clear();
  slots_.clear();
  begin();
}

// Requests

void Client::begin() {
  if (load_.over() && !watching_) return;
  compose();
  began_us_ = now_us();
  for (Leg& leg : legs_) leg.sent = leg.answered = 0;
  for (std::size_t i = 0; i < legs_.size() && state_ == State::Working; ++i) push(i);
}

void Client::compose() {
  if (watching_) {
    watching_ = false;
    return transaction(load_.plain, false);
  }
  if (blocks_) {
    if (generator_.one_in(10)) return transaction(load_.blocking, false);
    return forms(load_.blocking.at(generator_.below(static_cast<unsigned>(load_.blocking.size()))),
                 false);
  }
  const unsigned count = 1 + generator_.below(kPipelineMax);
  for (unsigned i = 0; i < count; ++i) unit(i, count);
  if (generator_.one_in(4)) {
    ask({"ECHO", std::to_string(++echoes_)}, Owed::Echo);
    slots_.back().number = echoes_;
  }
}

void Client::unit(unsigned place, unsigned count) {
  const auto any = [this](const Table& table) -> const CompiledForm& {
    return table.at(generator_.below(static_cast<unsigned>(table.size())));
  };
  const unsigned dice = generator_.below(1000);
  if (dice < 40) {
    write_register();
  } else if (dice < 70) {
    transaction(load_.plain, false);
  } else if (dice < 75) {
    transaction(load_.plain, true);
  } else if (dice < 95 && place + 1 == count) {
    // Its transaction comes with the next pipeline, so that others get in between.
    ask({"WATCH", generator_.some_key()}, Owed::Other);
    watching_ = true;
  } else if (dice < 105) {
    forms(any(load_.other_db), false);
  } else if (!load_.named_keys && generator_.one_in(kExclusiveOneIn)) {
    forms(any(load_.exclusive), false);
  } else {
    forms(any(load_.plain), false);
  }
}

void Client::forms(const CompiledForm& form, bool queued) {
  generator_.make(form, request_, [&](Made made) {
    if (made.name == "SELECT") {
      slots_.push_back({Owed::Other, 0, 0, ""});
      return;
    }
    const bool entry = !queued && !made.added.empty();
    slots_.push_back({queued  ? Owed::Queued
                      : entry ? Owed::Entry
                              : Owed::Write,
                      0, 0, entry ? std::string(made.added) : ""});
    ++load_.issued;
  });
}

void Client::transaction(const Table& table, bool discard) {
  ask({"MULTI"}, Owed::Multi);
  const unsigned count = 1 + generator_.below(5);
  for (unsigned i = 0; i < count; ++i) {
    forms(table.at(generator_.below(static_cast<unsigned>(table.size()))), true);
  }
  if (discard) return ask({"DISCARD"}, Owed::Other);
  ask({"EXEC"}, Owed::Exec);
}

void Client::write_register() {
  const auto which =
      static_cast<std::uint8_t>(generator_.below(static_cast<unsigned>(registers_.size())));
  Register& one = registers_[which];
  const std::string number = std::to_string(++one.sent);
  switch (one.kind) {
    case Register::Kind::String:
      ask({"SET", one.key, number}, Owed::Register);
      break;
    case Register::Kind::Hash:
      ask({"HSET", one.key, "n", number}, Owed::Register);
      break;
    case Register::Kind::Stream:
      ask({"XADD", one.key, number + "-0", "n", number}, Owed::Register);
      break;
  }
  slots_.back().which = which;
  slots_.back().number = one.sent;
  ++load_.issued;
}

void Client::ask(std::initializer_list<std::string_view> words, Owed owed) {
  append_request({words.begin(), words.size()}, request_);
  slots_.push_back({owed, 0, 0, ""});
}

}  // namespace crossfade::write_load
