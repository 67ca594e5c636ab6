// Lines about strangers, who may send anything for a method and a path.
#include "control/http/refusal_log.h"

namespace crossfade {

namespace {

constexpr std::size_t kShownMax = 200;  // bytes of a path; the longest of ours has about 300

// Printable ASCII, one line, and not more of it than is of use.
std::string shown(const std::string& text) {
  std::string safe = text.substr(0, kShownMax);
  for (char& byte : safe) {
    if (byte <= ' ' || byte > '~') byte = '?';
  }
  return text.size() > kShownMax ? safe + "..." : safe;
}

}  // namespace

std::string RefusalLog::line(int status, const std::string& peer, const std::string& method,
                             const std::string& path, const std::string& token,
                             Allowance::Clock::time_point now) {
  const std::lock_guard held(mutex_);
  if (!allowance_.take(rate_, now)) {
    ++left_out_;
    return {};
  }
  std::string text = "control port: " + std::to_string(status) + " for " + shown(peer);
  if (!token.empty()) text += ", token " + shown(token);
  text += ": " + shown(method) + " " + shown(path);
  if (left_out_ > 0) text += " (and " + std::to_string(left_out_) + " others before it)";
  left_out_ = 0;
  return text;
}

}  // namespace crossfade
