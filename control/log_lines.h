// Lines on their way to a descriptor: whoever adds one never waits for whoever reads them.
//
// A pipe whose reader does not read, or a terminal that is held, would otherwise stop the thread
// that logs, and behind it every other that does: event loops among them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace crossfade {

class LogLines {
 public:
  // The descriptor stays open, and as it is: it may be other processes', too.
  //   bytes_max  that wait, of lines not written yet
  LogLines(int descriptor, std::size_t bytes_max);
  ~LogLines();  // what waits is flushed as flush() does, and what is left then is lost
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;

  // Any thread. False: it is lost, as too many bytes wait.
  bool add(std::string_view line);

  // Waits until all is written that was added, but no longer than that. Any thread.
  void flush(std::chrono::milliseconds most);

 private:
  void work();
  void write_out(std::string_view bytes);

  const int descriptor_;
  const std::size_t bytes_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string waiting_;      // whole lines
  std::size_t writing_ = 0;  // bytes that were taken from it and are not written yet
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace crossfade
