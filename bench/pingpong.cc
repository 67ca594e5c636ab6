// Added latency: one closed-loop client that alternates between a direct and a proxied connection.
//
//   pingpong get|set DIRECT_PORT PROXIED_PORT [PAIRS]      both on 127.0.0.1; default 5,000 pairs
//
// "Direct" may be a proxy, too: then the two are compared.
//
// Alternating request by request makes both see the same machine in the same millisecond, so what
// is left in the difference is the proxy. Plain blocking sockets: no client library is measured
// with it.
//
// Prints one line: direct p50, p99, proxied p50, p99, added p50; all in microseconds.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Command {
  std::string_view request;
  std::string_view reply;
};
constexpr Command kSet{"*3\r\n$3\r\nSET\r\n$8\r\npingpong\r\n$3\r\nxyz\r\n", "+OK\r\n"};
constexpr Command kGet{"*2\r\n$3\r\nGET\r\n$8\r\npingpong\r\n", "$3\r\nxyz\r\n"};
constexpr int kWarmUp = 200;  // pairs that are not counted

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

int connect_to(const char* port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(port)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    fail("connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// Sends the request, waits for its whole reply; returns nanoseconds.
double round_trip(int fd, const Command& command) {
  const auto& [request, reply] = command;
  std::array<char, 64> buffer;
  const auto start = std::chrono::steady_clock::now();
  if (write(fd, request.data(), request.size()) != static_cast<ssize_t>(request.size()))
    fail("write");
  std::size_t have = 0;
  while (have < reply.size()) {
    const ssize_t got = read(fd, buffer.data() + have, buffer.size() - have);
    if (got <= 0) fail("read");
    have += static_cast<std::size_t>(got);
  }
  const auto end = std::chrono::steady_clock::now();
  if (std::string_view(buffer.data(), have) != reply) {
    std::fprintf(stderr, "pingpong: wrong reply\n");
    std::exit(1);
  }
  return std::chrono::duration<double, std::nano>(end - start).count();
}

double quantile_us(std::vector<double>& samples_ns, double share) {
  const auto at = static_cast<std::size_t>(share * static_cast<double>(samples_ns.size() - 1));
  std::nth_element(samples_ns.begin(), samples_ns.begin() + static_cast<std::ptrdiff_t>(at),
                   samples_ns.end());
  return samples_ns[at] / 1000.0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (argc < 4 || argc > 5 || (name != "get" && name != "set")) {
    std::fprintf(stderr, "usage: pingpong get|set DIRECT_PORT PROXIED_PORT [PAIRS]\n");
    return 2;
  }
  const Command& command = name == "get" ? kGet : kSet;
  const int pairs = argc == 5 ? std::stoi(argv[4]) : 5'000;
  const std::array<int, 2> sockets{connect_to(argv[2]), connect_to(argv[3])};
  for (int fd : sockets) round_trip(fd, kSet);

  std::array<std::vector<double>, 2> samples_ns;
  for (int pair = -kWarmUp; pair < pairs; ++pair) {
    for (std::size_t which = 0; which < 2; ++which) {
      const double took_ns = round_trip(sockets[which], command);
      if (pair >= 0) samples_ns[which].push_back(took_ns);
    }
  }
  const double direct = quantile_us(samples_ns[0], 0.5);
  const double proxied = quantile_us(samples_ns[1], 0.5);
  std::printf("%.2f %.2f %.2f %.2f %.2f\n", direct, quantile_us(samples_ns[0], 0.99), proxied,
              quantile_us(samples_ns[1], 0.99), proxied - direct);
  return 0;
}
