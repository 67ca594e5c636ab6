// Random writes of every kind that Redis 7.0 has, from many clients at once, and a count of what
// came back.
//
//   write_load --port P [--mirror P2] [--clients 64] [--keys 100000] [--writes N] [--seed S]
//              [--reconnect] [--named-keys] [--registers FILE] [--stall-ms MS]
//   write_load --list-commands
//
// Each client is a closed loop over one connection of small random pipelines; every eighth sends
// blocking commands, every sixteenth works in database 1, every fourth speaks RESP3. Without
// --writes it works until SIGTERM. With --mirror each client has two connections and sends
// everything to both, without any order between clients: how not to do it. With --named-keys it
// leaves out what writes keys that a request does not name (FLUSHDB, SWAPDB).
//
// Prints one line of JSON: writes (replies to write commands), seconds, rate, p50_us and p99_us (of
// pipelines), lost (connections), disorder (replies that cannot be the answer to what was asked),
// transactions, conflicts, errors by first word, texts of errors, trouble. --registers: see
// tally.h. Exit code 1 when there was trouble: disorder, a connection that ended (but with
// --reconnect), a pipeline that took longer than --stall-ms.
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <set>
#include <stdexcept>

#include "tests/integration/write_load/client.h"
#include "tests/integration/write_load/replies.h"

namespace crossfade::write_load {
namespace {

constexpr std::uint64_t kStopUs = 5'000'000;  // for what is under way when SIGTERM comes
constexpr int kTickMs = 20;

volatile std::sig_atomic_t told_to_stop = 0;

struct Options {
  std::vector<std::uint16_t> ports;
  unsigned clients = 64;
  unsigned keys = 100'000;
  std::uint64_t writes = 0;
  std::uint64_t seed = 1;
  std::uint64_t stall_ms = 60'000;
  bool reconnect = false;
  bool named_keys = false;
  bool list_commands = false;
  std::string registers;
};

std::uint64_t number_of(const std::string& text) {
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    throw std::invalid_argument("no number: " + text);
  }
  return value;
}

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--reconnect") {
      options.reconnect = true;
      continue;
    }
    if (flag == "--named-keys") {
      options.named_keys = true;
      continue;
    }
    if (flag == "--list-commands") {
      options.list_commands = true;
      continue;
    }
    if (i + 1 == argc) throw std::invalid_argument(flag + " needs a value");
    const std::string value = argv[++i];
    if (flag == "--port" || flag == "--mirror") {
      options.ports.push_back(static_cast<std::uint16_t>(number_of(value)));
    } else if (flag == "--clients") {
      options.clients = static_cast<unsigned>(number_of(value));
    } else if (flag == "--keys") {
      options.keys = static_cast<unsigned>(number_of(value));
    } else if (flag == "--writes") {
      options.writes = number_of(value);
    } else if (flag == "--seed") {
      options.seed = number_of(value);
    } else if (flag == "--stall-ms") {
      options.stall_ms = number_of(value);
    } else if (flag == "--registers") {
      options.registers = value;
    } else {
      throw std::invalid_argument("unknown flag " + flag);
    }
  }
  if (options.ports.empty() && !options.list_commands) {
    throw std::invalid_argument("--port is needed");
  }
  return options;
}

// A connection for what comes before the load. One request, one reply.
class Setup {
 public:
  explicit Setup(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
      throw std::runtime_error("cannot connect to port " + std::to_string(port));
    }
  }
  Setup(const Setup&) = delete;
  Setup& operator=(const Setup&) = delete;
  ~Setup() { close(fd_); }

  // The content of a bulk reply; the line of another one.
  std::string ask(std::initializer_list<std::string_view> words) {
    std::string request;
    append_request({words.begin(), words.size()}, request);
    return send_request(request);
  }

  std::string send_request(const std::string& request) {
    std::string reply;
    if (send(fd_, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
      throw std::runtime_error("set-up: cannot send");
    }
    Cut cut;
    while ((cut = cut_reply(reply, [](std::string_view) {})).state == Cut::State::More) {
      char bytes[4096];
      const ssize_t n = recv(fd_, bytes, sizeof bytes, 0);
      if (n <= 0) throw std::runtime_error("set-up: the connection ended");
      reply.append(bytes, static_cast<std::size_t>(n));
    }
    const std::size_t line = reply.find("\r\n");
    if (reply[0] == '-') throw std::runtime_error("set-up: " + reply.substr(0, line));
    if (reply[0] != '$') return reply.substr(1, line - 1);
    return reply.substr(line + 2, reply.size() - line - 4);
  }

 private:
  int fd_;
};

// Loads scripts and the library, makes the values to be restored. Returns the texts of '%' words.
std::map<std::string, std::string> set_up(std::uint16_t port) {
  std::map<std::string, std::string> texts;
  Setup server(port);
  server.ask({"FUNCTION", "LOAD", "REPLACE", library()});
  for (const Script& script : scripts()) {
    const std::string name(script.name);
    texts[name] = script.text;
    texts["sha:" + name] = server.ask({"SCRIPT", "LOAD", script.text});
  }
  for (const Seed& seed : seeds()) {
    const std::string key = "seed:" + std::string(seed.name);
    std::vector<std::string_view> words;
    std::string_view text = seed.form;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find(' '), text.size());
      words.push_back(text.substr(0, end) == "$1" ? std::string_view(key) : text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    server.ask({"DEL", key});
    std::string request;
    append_request(words, request);
    server.send_request(request);
    texts["dump:" + std::string(seed.name)] = server.ask({"DUMP", key});
  }
  return texts;
}

int list_commands() {
  std::set<std::string> names;
  for (const auto forms : {plain_forms(), blocking_forms(), other_db_forms(), exclusive_forms()}) {
    for (const Form& form : forms) {
      for (std::string& name : command_names(form)) names.insert(std::move(name));
    }
  }
  names.erase("select");
  for (const std::string& name : names) std::printf("%s\n", name.c_str());
  return 0;
}

// Works until all is sent and answered.
void work(Load& load, std::vector<std::unique_ptr<Client>>& clients, std::uint64_t stall_us) {
  std::uint64_t ticked_us = 0, stopped_us = 0;
  while (true) {
    const std::uint64_t now = now_us();
    if (told_to_stop != 0 && !load.stopping) {
      load.stopping = true;
      stopped_us = now;
    }
    if (now - ticked_us >= kTickMs * 1000) {
      ticked_us = now;
      bool busy = false;
      for (const auto& client : clients) {
        client->tick(now);
        busy |= !client->idle();
        if (client->waiting_us(now) > stall_us && !load.stopping) {
          load.tally.note_trouble(client->waits_for());
        }
      }
      if (load.over() && !busy) return;
      if (load.stopping && now - stopped_us > kStopUs) return;
      if (load.tally.troubled()) load.stopping = true;
      if (load.stopping && stopped_us == 0) stopped_us = now;
    }
    epoll_event events[256];
    const int count = epoll_wait(load.epoll, events, 256, kTickMs);
    for (int i = 0; i < count; ++i) {
      const std::uint64_t tag = events[i].data.u64;
      clients[tag >> 1]->ready(tag & 1, events[i].events);
    }
  }
}

int run(const Options& options) {
  const std::map<std::string, std::string> texts = set_up(options.ports[0]);
  if (options.ports.size() > 1) set_up(options.ports[1]);  // the same, or newer, but what it dumps
  Load load{.plain = Table(plain_forms(), texts),
            .blocking = Table(blocking_forms(), texts),
            .other_db = Table(other_db_forms(), texts),
            .exclusive = Table(exclusive_forms(), texts),
            .ports = options.ports,
            .seed = options.seed,
            .writes = options.writes,
            .keys = options.keys,
            .reconnect = options.reconnect,
            .named_keys = options.named_keys,
            .tally = {}};
  load.epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<std::unique_ptr<Client>> clients;
  for (unsigned i = 0; i < options.clients; ++i) {
    clients.push_back(std::make_unique<Client>(load, i));
  }
  std::printf("working\n");
  std::fflush(stdout);
  const std::uint64_t began = now_us();
  work(load, clients, options.stall_ms * 1000);
  const double seconds = static_cast<double>(now_us() - began) / 1e6;
  if (!options.registers.empty()) {
    std::vector<const Register*> registers;
    for (const auto& client : clients) {
      for (const Register& one : client->registers()) registers.push_back(&one);
    }
    std::ofstream(options.registers) << to_json(registers);
  }
  std::printf("%s\n", load.tally.json(seconds).c_str());
  return load.tally.troubled() ? 1 : 0;
}

}  // namespace
}  // namespace crossfade::write_load

int main(int argc, char** argv) {
  using namespace crossfade::write_load;
  struct sigaction action {};
  action.sa_handler = [](int) { told_to_stop = 1; };
  sigaction(SIGTERM, &action, nullptr);
  try {
    const Options options = read_options(argc, argv);
    return options.list_commands ? list_commands() : run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "write_load: %s\n", error.what());
    return 2;
  }
}
