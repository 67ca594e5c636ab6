// The judge itself: starting, asking and ending a real redis-server.
#include "tests/unit/protocols/redis/server.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace crossfade::redis {
namespace {

constexpr int kStartLimitMs = 10'000;
constexpr int kAnswerLimitMs = 10'000;

std::string make_folder() {
  std::string path = (std::filesystem::temp_directory_path() / "crossfade-XXXXXX").string();
  REQUIRE(mkdtemp(path.data()) != nullptr);
  return path;
}

[[noreturn]] void become_server(const std::string& socket, const std::string& folder) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int nowhere = open("/dev/null", O_RDWR);
  dup2(nowhere, STDOUT_FILENO);
  execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket.c_str(), "--dir",
         folder.c_str(), "--save", "", "--appendonly", "no", "--enable-debug-command", "local",
         static_cast<char*>(nullptr));
  _exit(127);
}

int connect_to(const std::string& path) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(socket >= 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  REQUIRE(connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return socket;
}

std::string text_of(const redisReply& reply) { return {reply.str, reply.len}; }

// A flat list of name, value, name, value as the value of one name; nullptr when it is not there.
const redisReply* member(const redisReply& map, std::string_view name) {
  for (std::size_t i = 0; i + 1 < map.elements; i += 2) {
    if (text_of(*map.element[i]) == name) return map.element[i + 1];
  }
  return nullptr;
}

int number_at(const redisReply& map, std::string_view name) {
  const redisReply* const value = member(map, name);
  return value != nullptr ? static_cast<int>(value->integer) : 0;
}

std::vector<std::string> texts_of(const redisReply& list) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < list.elements; ++i) texts.push_back(text_of(*list.element[i]));
  return texts;
}

bool read_key_spec(const redisReply& reply, KeySpec& spec) {
  const std::vector<std::string> flags = texts_of(*member(reply, "flags"));
  if (std::find(flags.begin(), flags.end(), "not_key") != flags.end()) return false;
  const redisReply& begin = *member(reply, "begin_search");
  const redisReply& find = *member(reply, "find_keys");
  const std::string begin_type = text_of(*member(begin, "type"));
  const std::string find_type = text_of(*member(find, "type"));
  if (begin_type == "unknown" || find_type == "unknown") return false;
  const redisReply& from = *member(begin, "spec");
  const redisReply& range = *member(find, "spec");
  if (begin_type == "keyword") {
    spec.begin = KeySpec::Begin::Keyword;
    spec.keyword = text_of(*member(from, "keyword"));
    spec.index = number_at(from, "startfrom");
  } else {
    spec.index = number_at(from, "index");
  }
  if (find_type == "keynum") {
    spec.find = KeySpec::Find::KeyNum;
    spec.keynum_index = number_at(range, "keynumidx");
    spec.first_key = number_at(range, "firstkey");
  } else {
    spec.last = number_at(range, "lastkey");
    spec.limit = number_at(range, "limit");
  }
  spec.step = number_at(range, "keystep");
  return true;
}

CommandReplyEntry read_entry(const redisReply& reply) {
  CommandReplyEntry entry;
  entry.name = text_of(*reply.element[0]);
  entry.flags = texts_of(*reply.element[2]);
  entry.first_key = static_cast<int>(reply.element[3]->integer);
  entry.last_key = static_cast<int>(reply.element[4]->integer);
  entry.key_step = static_cast<int>(reply.element[5]->integer);
  if (reply.elements < 10) return entry;
  entry.tips = texts_of(*reply.element[7]);
  for (std::size_t i = 0; i < reply.element[8]->elements; ++i) {
    KeySpec spec;
    if (read_key_spec(*reply.element[8]->element[i], spec)) entry.keys.push_back(spec);
  }
  for (std::size_t i = 0; i < reply.element[9]->elements; ++i) {
    entry.subcommands.push_back(read_entry(*reply.element[9]->element[i]));
  }
  return entry;
}

}  // namespace

Server::Server() : folder_(make_folder()) {
  const std::string socket = folder_ + "/socket";
  pid_ = fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) become_server(socket, folder_);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(kStartLimitMs);
  while (std::chrono::steady_clock::now() < limit) {
    context_.reset(redisConnectUnix(socket.c_str()));
    if (context_ != nullptr && context_->err == 0) break;
    poll(nullptr, 0, 5);
  }
  REQUIRE(context_ != nullptr);
  REQUIRE_MESSAGE(context_->err == 0, "redis-server did not start: is it installed?");
}

Server::~Server() {
  context_.reset();
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  std::filesystem::remove_all(folder_);
}

Server::Reply Server::call(const std::vector<std::string>& words) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  void* const reply =
      redisCommandArgv(context_.get(), static_cast<int>(words.size()), texts.data(), sizes.data());
  REQUIRE(reply != nullptr);
  return Reply(static_cast<redisReply*>(reply));
}

std::string Server::answer_to(std::string_view bytes) const {
  const int socket = connect_to(folder_ + "/socket");
  REQUIRE(send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
  shutdown(socket, SHUT_WR);
  std::string answer;
  std::array<char, 65536> buffer;
  while (true) {
    pollfd readable{socket, POLLIN, 0};
    REQUIRE(poll(&readable, 1, kAnswerLimitMs) == 1);
    const ssize_t size = recv(socket, buffer.data(), buffer.size(), 0);
    if (size <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(size));
  }
  close(socket);
  return answer;
}

std::vector<CommandReplyEntry> read_command_reply(const redisReply& reply) {
  std::vector<CommandReplyEntry> entries;
  for (std::size_t i = 0; i < reply.elements; ++i) entries.push_back(read_entry(*reply.element[i]));
  return entries;
}

TEST_CASE("server: the judge answers") {
  Server server;
  CHECK(text_of(*server.call({"PING"})) == "PONG");
  CHECK(server.answer_to("PING\r\n*1\r\n$4\r\nPING\r\n") == "+PONG\r\n+PONG\r\n");
}

}  // namespace crossfade::redis
