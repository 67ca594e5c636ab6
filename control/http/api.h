// The API on HTTP: who may enter, which call it is, and what the answer looks like as text.
//
// Also /healthz, /readyz and /metrics. Any number of threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "control/http/entry.h"
#include "control/http/refusal_log.h"
#include "control/http/routes.h"
#include "control/http/server.h"
#include "control/http/token_failures.h"
#include "control/http/tokens.h"
#include "control/mcp/mcp.h"

namespace crossfade {

using Tokens = std::vector<Token>;

// What was counted since the process began.
struct ApiFigures {
  std::map<int, std::uint64_t> answered;  // by HTTP status
  TokenFailureCounts token_failures;
};

class Api {
 public:
  enum class Phase : std::uint8_t { Starting, Ready, Draining };

  struct Hooks {
    // Why the process is not ready although nothing is starting or draining; empty: it is ready.
    std::function<std::string()> not_ready;
    // Why what is in force may not outlive the process, ready as it is; empty: it does.
    std::function<std::string()> state_problem;
    // The metrics page.
    std::function<std::string(const ApiFigures&)> metrics;
  };

  // The services must not be used before enter(Phase::Ready).
  Api(Services services, Hooks hooks, Tokens tokens, EntryRules rules, std::string version);

  HttpHandlers handlers();

  void set_tokens(Tokens tokens);
  void enter(Phase phase);
  // From now on calls that change something are refused; returns when those that run have ended.
  void drain();

 private:
  struct Ticket {  // what admission found out
    RouteMatch match;
    std::string actor;
  };

  std::optional<HttpResponse> admit(const HttpHead& head);
  HttpResponse handle(const HttpHead& head, const std::string& body);
  std::optional<Refusal> check_token(const HttpHead& head, Role needed, std::string* actor);
  std::optional<Refusal> check_call(const HttpHead& head, Ticket& ticket);
  Refusal fail(const HttpHead& head, const char* why);
  void log_refusal(int status, const HttpHead& head, const std::string& token);
  std::optional<Refusal> check_phase(bool changes) const;
  HttpResponse serve_mcp(const HttpHead& head, const std::string& body, const std::string& actor);
  HttpResponse run(const Ticket& ticket, const HttpHead& head, const std::string& body);
  HttpResponse probe(const HttpHead& head);
  HttpResponse readiness() const;
  HttpResponse counted(HttpResponse response);

  Services services_;
  const Hooks hooks_;
  const EntryRules rules_;
  TokenFailures token_failures_;
  RefusalLog refusal_log_;
  Mcp mcp_;
  std::atomic<Phase> phase_{Phase::Starting};
  std::shared_mutex
      changing_;  // shared: a call that changes something runs; exclusive: drain waits

  mutable std::mutex mutex_;  // guards what follows
  std::shared_ptr<const Tokens> tokens_;
  std::map<int, std::uint64_t> answered_;
};

}  // namespace crossfade
