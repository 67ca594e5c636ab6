// Connections from which nothing has come yet: they wait here, and cost no thread.
//
// One that sends something, or leaves, is handed on. One that is silent for as long as a request
// may take is closed, and when there are too many, those that came first are. Knows nothing of
// HTTP. Owns the descriptors that wait.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace crossfade {

class Lobby {
 public:
  using Clock = std::chrono::steady_clock;
  struct Visitor {
    int descriptor;
    Clock::time_point came;
  };

  // `hand_on` is called on a thread of this, which must not wait in it.
  Lobby(std::size_t places, Clock::duration limit, std::function<void(Visitor)> hand_on);
  ~Lobby();  // leaves nobody in
  Lobby(const Lobby&) = delete;
  Lobby& operator=(const Lobby&) = delete;

  // Takes a connection over. Any thread.
  void enter(int descriptor);

  // Closes those that wait, and hands nobody on any more.
  void close();

 private:
  void attend();
  // Until when the first of them may wait; fills what poll() is to look at.
  Clock::duration look_at(std::vector<int>& waiting);
  void sort_out(const std::vector<int>& stirring);

  const std::size_t places_;
  const Clock::duration limit_;
  const std::function<void(Visitor)> hand_on_;
  const int wake_;               // an eventfd
  std::mutex mutex_;             // guards what follows
  std::deque<Visitor> waiting_;  // who came first is first; only attend() takes one out
  bool ending_ = false;
  std::thread thread_;  // last: it uses all the others
};

}  // namespace crossfade
