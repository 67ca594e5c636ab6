// The loop between two looks, and what a terminal shows of it.
#include "client/watch.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "client/journal.h"
#include "client/text_table.h"
#include "control/definitions/url.h"
#include "control/json/write.h"

namespace crossfade {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Lines that stand at the end of the output, and are replaced by the next ones where the output is
// a terminal.
class Screen {
 public:
  Screen() : terminal_(isatty(STDOUT_FILENO) == 1) {}

  // Above what is replaced.
  void add(const std::string& lines) {
    if (lines.empty()) return;
    take_back();
    std::fputs(lines.c_str(), stdout);
    shown_.clear();
  }

  void show(const std::string& lines) {
    if (lines == shown_ && !terminal_) return;
    take_back();
    std::fputs((terminal_ ? cut(lines) : lines).c_str(), stdout);
    std::fflush(stdout);
    shown_ = lines;
  }

 private:
  void take_back() {
    const auto count = std::count(shown_.begin(), shown_.end(), '\n');
    if (terminal_ && count > 0) std::printf("\x1b[%dA\x1b[J", static_cast<int>(count));
  }

  // A line that wrapped would be two to go back.
  static std::string cut(const std::string& lines) {
    winsize size{};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    const std::size_t width = known ? size.ws_col : 80;
    std::string text;
    for (std::size_t at = 0; at < lines.size();) {
      const std::size_t end = lines.find('\n', at);
      text += lines.substr(at, std::min(end - at, width)) + "\n";
      at = end + 1;
    }
    return text;
  }

  bool terminal_;
  std::string shown_;
};

// The journal from `after` on as lines; moves `after` on. Nothing where it may not be read.
std::string journal_lines(ApiClient& client, const std::string& path, std::uint64_t& after) {
  std::string lines;
  (void)read_journal(client, path, after, [&](const Json& event) {
    (void)event.find("seq")->whole_number(0, UINT64_MAX, after);
    lines += plain(event.find("at")) + "  " + plain(event.find("to")) + "  " +
             plain(event.find("reason")) + "  (" + plain(event.find("actor")) + ")\n";
    return true;
  });
  return lines;
}

}  // namespace

Result<Ending> watch_migration(ApiClient& client, const std::string& id,
                               const WatchOptions& options) {
  const std::string path = "/migrations/" + percent_encode(id);
  const Clock::time_point began = Clock::now();
  Clock::time_point reached = began;
  std::uint64_t after = 0;
  WatchView view;
  Screen screen;
  while (true) {
    const auto answer = client.call({.method = "GET", .path = path + "/status"});
    if (answer && !answer.value().succeeded() && answer.value().status < 500) {
      return Error{Errc::Conflict, "", answer.value().message()};
    }
    if (!answer || !answer.value().succeeded()) {
      const std::string why = answer ? answer.value().message() : answer.error().message();
      if (seconds_since(reached) > options.patience_s) return Error{Errc::Unavailable, "", why};
      if (!options.json) screen.show("not reached, trying on: " + why + "\n");
    } else if (const Json* status = answer.value().data()) {
      reached = Clock::now();
      // The journal first: a status that ends it has its line there.
      const auto ending = ending_of(plain(status->find("status")));
      if (options.json) {
        std::printf("%s\n", to_text(*status).c_str());
        std::fflush(stdout);
      } else {
        screen.add(journal_lines(client, path, after));
        screen.show(view.lines_of(*status, seconds_since(began)));
      }
      if (ending) return *ending;
    }
    std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_s));
  }
}

}  // namespace crossfade
