// One client: a pipeline of random writes, all replies, the next pipeline.
//
// It has one connection, or two with --mirror: then every pipeline goes to both servers at once, as
// a naive dual writer would do it. Only the first one's replies are counted and judged.
//
// Promise: each reply is held against what was asked; no more than one pipeline is under way.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/write_load/generator.h"
#include "tests/integration/write_load/tally.h"

namespace crossfade::write_load {

// What all clients of the process share.
struct Load {
  Table plain, blocking, other_db, exclusive;
  std::vector<std::uint16_t> ports;  // one, or two
  std::uint64_t seed = 0;
  std::uint64_t writes = 0;  // to be sent; 0: until told to stop
  unsigned keys = 0;
  bool reconnect = false;
  bool named_keys = false;
  bool stopping = false;

  int epoll = -1;
  std::uint64_t issued = 0;
  Tally tally;

  bool over() const { return stopping || (writes != 0 && issued >= writes); }
};

class Client {
 public:
  Client(Load& load, unsigned number);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // One of its sockets is ready.
  void ready(std::size_t leg, std::uint32_t events);
  // Time has passed: a connection that was lost is made again when that is due.
  void tick(std::uint64_t now_us);
  bool idle() const { return slots_.empty() && state_ != State::Connecting; }
  // Microseconds that the pipeline under way has taken; 0: there is none.
  std::uint64_t waiting_us(std::uint64_t now_us) const;
  std::string waits_for() const;
  const std::array<Register, 3>& registers() const { return registers_; }

 private:
  enum class State : std::uint8_t { Connecting, Working, Lost, Ended };
  // What a reply must be.
  enum class Owed : std::uint8_t { Write, Queued, Entry, Register, Multi, Exec, Other, Echo };
  struct Slot {
    Owed owed;
    std::uint8_t which = 0;    // Register: which
    std::uint64_t number = 0;  // Register: what was written; Echo: what must come back
    std::string text;          // Entry: the stream
  };
  struct Leg {
    int fd = -1;
    bool connected = false;
    bool polls_out = false;
    std::size_t sent = 0;
    std::size_t answered = 0;  // slots
    std::string received;
  };

  void connect_all();
  void connected();
  void lose(const std::string& why);
  void close_all();
  void begin();
  void compose();
  void unit(unsigned place, unsigned count);
  void forms(const CompiledForm& form, bool queued);
  void transaction(const Table& table, bool discard);
  void write_register();
  void ask(std::initializer_list<std::string_view> words, Owed owed);
  void push(std::size_t leg);
  void pull(std::size_t leg);
  void judge(const Slot& slot, std::string_view reply);
  bool fits(const Slot& slot, std::string_view reply) const;
  bool answered() const;
  void finish();
  void poll(Leg& leg, std::size_t index, bool out);

  Load& load_;
  const unsigned number_;
  const unsigned db_;
  const bool blocks_;
  const bool resp3_;
  Generator generator_;
  std::array<Register, 3> registers_;
  std::vector<Leg> legs_;
  State state_ = State::Lost;
  std::uint64_t retry_us_ = 0;
  std::string request_;
  std::vector<Slot> slots_;
  std::uint64_t began_us_ = 0;
  std::uint64_t echoes_ = 0;
  bool watching_ = false;
};

std::uint64_t now_us();

}  // namespace crossfade::write_load
