// Levels and forms of the log, on spdlog.
#include "control/log.h"

#include <spdlog/formatter.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>

#include "control/json/value.h"
#include "control/json/write.h"
#include "control/log_lines.h"

namespace crossfade {

namespace {

constexpr std::size_t kWaiting_max = 1 << 20;  // bytes that wait for a reader
constexpr std::chrono::milliseconds kFlush{1'000};

constexpr const char* kTextPattern = "%Y-%m-%dT%H:%M:%S.%e%z %l %v";

// RFC 3339 in UTC, to the millisecond.
std::string time_of(spdlog::log_clock::time_point at) {
  const auto since = at.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(since - seconds).count();
  const std::time_t unix_seconds = seconds.count();
  std::tm utc{};
  gmtime_r(&unix_seconds, &utc);
  std::array<char, 32> day{};
  std::strftime(day.data(), day.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%s.%03dZ", day.data(), static_cast<int>(ms));
  return text.data();
}

// A line as a JSON object: whatever a message quotes, it is one line and can be read again.
class JsonLines : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& said, spdlog::memory_buf_t& line) override {
    const auto level = spdlog::level::to_string_view(said.level);
    std::string text = to_text(
        Json::object({{"time", time_of(said.time)},
                      {"level", std::string_view(level.data(), level.size())},
                      {"message", std::string_view(said.payload.data(), said.payload.size())}}));
    text += '\n';
    line.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonLines>();
  }
};

// Standard error, by a thread that may wait for its reader.
class StandardError : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& said) override {
    if (lost_ > 0 && !tell_loss(said)) {
      ++lost_;
      return;
    }
    if (!lines_.add(as_line(said))) ++lost_;
  }
  void flush_() override { lines_.flush(kFlush); }

 private:
  bool tell_loss(const spdlog::details::log_msg& next) {
    const std::string words =
        "log: " + std::to_string(lost_) + " lines are lost, as nobody read those before in time";
    spdlog::details::log_msg loss(next.logger_name, spdlog::level::warn, words);
    if (!lines_.add(as_line(loss))) return false;
    lost_ = 0;
    return true;
  }
  std::string as_line(const spdlog::details::log_msg& said) {
    spdlog::memory_buf_t line;
    formatter_->format(said, line);
    return {line.data(), line.size()};
  }

  LogLines lines_{STDERR_FILENO, kWaiting_max};
  std::uint64_t lost_ = 0;
};

}  // namespace

bool is_log_level(std::string_view text) {
  for (const std::string_view level : {"trace", "debug", "info", "warn", "error"}) {
    if (text == level) return true;
  }
  return false;
}

bool is_log_format(std::string_view text) { return text == "text" || text == "json"; }

void begin_log(const std::string& level, const std::string& format) {
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("crossfade", std::make_shared<StandardError>()));
  set_log(level, format);
}

void flush_log() { spdlog::default_logger()->flush(); }

void set_log(const std::string& level, const std::string& format) {
  spdlog::set_level(spdlog::level::from_str(level));
  if (format == "json") {
    spdlog::set_formatter(std::make_unique<JsonLines>());
  } else {
    spdlog::set_formatter(std::make_unique<spdlog::pattern_formatter>(kTextPattern));
  }
}

}  // namespace crossfade
