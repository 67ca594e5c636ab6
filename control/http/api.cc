// From an HTTP request to a control call, and from its answer to an HTTP response.
#include "control/http/api.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "control/embedded.h"
#include "control/json/fields.h"
#include "control/json/parse.h"
#include "control/json/write.h"
#include "protocols/base/ascii.h"

namespace crossfade {

namespace {

constexpr std::uint32_t kEventsPage = 1000;  // most events in one answer
constexpr std::string_view kOpenApiPath = "/api/v1/openapi.json";

Refusal unauthorized(const char* why) {
  return {.status = 401, .error = "Unauthorized", .message = why};
}

HttpResponse response_of(const Refusal& refusal) {
  Json json = Json::object({{"error", refusal.error}, {"message", refusal.message}});
  for (const auto& [name, value] : *refusal.beside.members()) json.set(name, value);
  HttpResponse response{.status = refusal.status, .body = to_text(json)};
  if (refusal.status == 401) response.challenge = "Bearer";
  if (refusal.retry_after_s > 0) {
    response.headers.emplace_back("Retry-After", std::to_string(refusal.retry_after_s));
  }
  return response;
}

HttpResponse response_of(const Reply& reply) {
  Json json = Json::object({{"status", "success"}, {"data", reply.data}});
  for (const auto& [name, value] : *reply.beside.members()) json.set(name, value);
  return {.status = reply.status, .body = to_text(json), .etag = reply.etag};
}

// The class of a status for which there is no more to say than that.
Refusal refusal_of_status(int status, const std::string& message) {
  switch (status) {
    case 404:
      return {.status = 404, .error = "Not found", .message = message};
    case 405:
      return {.status = 405, .error = "Method not allowed", .message = message};
    case 413:
      return {.status = 413, .error = "Bad Request", .message = message};
    case 500:
      return {.status = 500, .error = "Internal error", .message = message};
    default:
      return {.status = 400, .error = "Bad Request", .message = message};
  }
}

// The token of "Bearer <token>"; empty when there is none.
std::string bearer(const std::string& authorization) {
  const std::size_t space = authorization.find(' ');
  if (space == authorization.npos || ascii_lower(authorization.substr(0, space)) != "bearer")
    return {};
  const std::size_t start = authorization.find_first_not_of(' ', space);
  return start == authorization.npos ? std::string() : authorization.substr(start);
}

bool is_true(const std::string& text) {
  const std::string word = ascii_lower(text);
  return word == "true" || word == "1";
}

// Reads a parameter of the query that is a number; false when it is given and is none.
template <class Number>
bool read_parameter(const HttpHead& head, const char* name, Number max, Number& into) {
  const auto found = head.query.find(name);
  if (found == head.query.end()) return true;
  const std::string& text = found->second;
  Number value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size() || value > max) return false;
  into = value;
  return true;
}

// Reads a parameter that is true or false; false when it is given and is neither.
bool read_parameter(const HttpHead& head, const char* name, bool& into) {
  const auto found = head.query.find(name);
  if (found == head.query.end()) return true;
  into = is_true(found->second);
  return into || ascii_lower(found->second) == "false" || found->second == "0";
}

std::optional<Refusal> read_call(const HttpHead& head, Call& call) {
  call.if_match = head.if_match;
  call.verbose = is_true(head.verbose);
  // For the data to have moved. Nothing moves data yet, so there is never any to wait for.
  bool wait = false;
  if (!read_parameter(head, "verbose", call.verbose) ||
      !read_parameter(head, "check", call.check) || !read_parameter(head, "force", call.force) ||
      !read_parameter(head, "wait", wait)) {
    return bad_request("the query's verbose, check, force and wait must be true or false");
  }
  if (!read_parameter(head, "after", std::uint64_t{INT64_MAX}, call.after) ||
      !read_parameter(head, "limit", kEventsPage, call.limit)) {
    return bad_request("the query's after and limit must be whole numbers, limit at most " +
                       std::to_string(kEventsPage));
  }
  if (!read_parameter(head, "cursor", std::uint64_t{INT64_MAX}, call.cursor)) {
    return bad_request("cursor: must be the next_cursor of the page before");
  }
  return std::nullopt;
}

// The body that a route asks for; a command's may be empty.
Result<Json> read_body(Body wanted, const std::string& text) {
  switch (wanted) {
    case Body::None:
      return Json();
    case Body::Object:
      return parse_json(text);
    case Body::Command:
      break;
  }
  if (text.find_first_not_of(" \t\r\n") == text.npos) return Json();
  auto json = parse_json(text);
  if (!json) return json;
  if (json->is_null()) return json;
  Fields fields(*json, "");
  if (auto error = fields.finish()) return *error;
  return json;
}

}  // namespace

Api::Api(Services services, Hooks hooks, Tokens tokens, EntryRules rules, std::string version)
    : services_(services),
      hooks_(std::move(hooks)),
      rules_(rules),
      token_failures_(rules.failures),
      refusal_log_(rules.refusals_logged_per_minute),
      mcp_(std::move(version)),
      tokens_(std::make_shared<const Tokens>(std::move(tokens))) {}

HttpHandlers Api::handlers() {
  return {.admit = [this](const HttpHead& head) { return admit(head); },
          .handle = [this](const HttpHead& head,
                           const std::string& body) { return counted(handle(head, body)); },
          .refuse =
              [this](int status, const std::string& message) {
                return counted(response_of(refusal_of_status(status, message)));
              }};
}

void Api::set_tokens(Tokens tokens) {
  auto fresh = std::make_shared<const Tokens>(std::move(tokens));
  const std::lock_guard held(mutex_);
  tokens_ = std::move(fresh);
}

void Api::enter(Phase phase) { phase_ = phase; }

void Api::drain() {
  enter(Phase::Draining);
  mcp_.close();
  const std::unique_lock all_ended(changing_);
}

HttpResponse Api::counted(HttpResponse response) {
  const std::lock_guard held(mutex_);
  ++answered_[response.status];
  return response;
}

// A call without a right token. Said to everybody alike: who has failed too often learns no more.
Refusal Api::fail(const HttpHead& head, const char* why) {
  const auto pause = token_failures_.fail(head.peer, Allowance::Clock::now());
  Refusal refusal = unauthorized(why);
  if (pause) {
    refusal = {.status = 429,
               .error = "Too Many Requests",
               .message = "token_failures_max: too many calls from this address had no right token",
               .retry_after_s = static_cast<std::uint32_t>(pause->count())};
  }
  log_refusal(refusal.status, head, "");
  return refusal;
}

void Api::log_refusal(int status, const HttpHead& head, const std::string& token) {
  const std::string line =
      refusal_log_.line(status, head.peer, head.method, head.path, token, Allowance::Clock::now());
  if (!line.empty()) spdlog::warn("{}", line);
}

std::optional<Refusal> Api::check_token(const HttpHead& head, Role needed, std::string* actor) {
  std::shared_ptr<const Tokens> tokens;
  {
    const std::lock_guard held(mutex_);
    tokens = tokens_;
  }
  const std::string presented = bearer(head.authorization);
  if (presented.empty()) return fail(head, "send Authorization: Bearer <token>");
  const Token* token = find_token(*tokens, presented);
  if (token == nullptr) return fail(head, "the token is not known");
  if (needed == Role::Admin && token->role != Role::Admin) {
    log_refusal(403, head, token->name);
    return Refusal{.status = 403,
                   .error = "Forbidden",
                   .message = "this needs the role admin, the token has the role read"};
  }
  if (actor != nullptr) *actor = token->name;
  return std::nullopt;
}

// Everything that can be said before the body is read. Whether a path exists is told to those only
// who have a token.
std::optional<Refusal> Api::check_call(const HttpHead& head, Ticket& ticket) {
  if (auto refusal = check_token(head, Role::Read, &ticket.actor)) return refusal;
  if (is_mcp_path(head.path)) {  // what it calls is checked again, as a call
    ticket.match.allowed = kMcpMethods;
    const bool known = head.method == "GET" || head.method == "POST" || head.method == "DELETE";
    if (!known) return refusal_of_status(405, "this path has " + ticket.match.allowed);
    return check_phase(false);
  }
  if (head.path == kOpenApiPath) {  // as it is the same whatever the sidecar does
    ticket.match.allowed = "GET";
    if (head.method != "GET") return refusal_of_status(405, "this path has GET");
    return std::nullopt;
  }
  ticket.match = match_route(head.method, head.path);
  if (ticket.match.route == nullptr) {
    return ticket.match.allowed.empty()
               ? refusal_of_status(404, "there is nothing at this path")
               : refusal_of_status(405, "this path has " + ticket.match.allowed);
  }
  const Route& route = *ticket.match.route;
  if (auto refusal = check_token(head, route.role, &ticket.actor)) return refusal;
  return check_phase(route.changes);
}

std::optional<Refusal> Api::check_phase(bool changes) const {
  const Phase phase = phase_;
  if (phase == Phase::Starting) return unavailable("the sidecar is starting");
  if (phase == Phase::Draining && changes) return unavailable("the sidecar is draining");
  return std::nullopt;
}

std::optional<HttpResponse> Api::admit(const HttpHead& head) {
  if (!head.path.starts_with(kApiBase)) return std::nullopt;
  Ticket ticket;
  const auto refusal = check_call(head, ticket);
  if (!refusal) return std::nullopt;
  HttpResponse response = response_of(*refusal);
  if (refusal->status == 405) response.allow = ticket.match.allowed;
  return counted(std::move(response));
}

HttpResponse Api::handle(const HttpHead& head, const std::string& body) {
  if (!head.path.starts_with(kApiBase)) return probe(head);
  Ticket ticket;
  if (const auto refusal = check_call(head, ticket)) return response_of(*refusal);
  if (head.path == kOpenApiPath) return {.body = std::string(kOpenApiJson)};
  if (is_mcp_path(head.path)) return serve_mcp(head, body, ticket.actor);
  if (!ticket.match.route->changes) return run(ticket, head, body);
  const std::shared_lock changing(changing_);
  // Asked again: draining may have begun since, and waits for those only who hold this.
  if (phase_ == Phase::Draining) return response_of(unavailable("the sidecar is draining"));
  return run(ticket, head, body);
}

HttpResponse Api::serve_mcp(const HttpHead& head, const std::string& body,
                            const std::string& actor) {
  // By the token of the request, so that a tool may what its caller may.
  const ApiDoor door = [this, authorization = head.authorization, peer = head.peer](
                           const char* method, const std::string& path,
                           const std::map<std::string, std::string>& query, const Json& given) {
    HttpHead inner;
    inner.method = method;
    inner.path = std::string(kApiBase) + path;
    inner.query = query;
    inner.authorization = authorization;
    inner.peer = peer;
    const HttpResponse response = handle(inner, given.is_null() ? "" : to_text(given));
    auto answered = parse_json(response.body);
    return ApiOutcome{.status = response.status,
                      .body = answered ? std::move(*answered) : Json::object({})};
  };
  HttpResponse response = mcp_.handle(head, body, actor, door);
  if (response.status == 403) log_refusal(403, head, actor);  // sent by a page of elsewhere
  return response;
}

HttpResponse Api::run(const Ticket& ticket, const HttpHead& head, const std::string& body) {
  Call call;
  call.actor = ticket.actor;
  if (const auto refusal = read_call(head, call)) return response_of(*refusal);
  auto json = read_body(ticket.match.route->body, body);
  if (!json) return response_of(refuse(json.error()));
  const Answer answer = ticket.match.route->run(services_, ticket.match.segments, *json, call);
  if (const auto* refusal = std::get_if<Refusal>(&answer)) {
    spdlog::debug("{} {} by {}: {}", head.method, ticket.match.route->path, call.actor,
                  refusal->status);
    return response_of(*refusal);
  }
  return response_of(std::get<Reply>(answer));
}

HttpResponse Api::probe(const HttpHead& head) {
  const bool metrics = head.path == "/metrics";
  if (!metrics && head.path != "/healthz" && head.path != "/readyz") {
    return response_of(refusal_of_status(404, "there is nothing at this path"));
  }
  if (head.method != "GET") {
    HttpResponse response = response_of(refusal_of_status(405, "this path has GET"));
    response.allow = "GET";
    return response;
  }
  if (metrics ? rules_.metrics_token : rules_.probes_token) {
    if (const auto refusal = check_token(head, Role::Read, nullptr)) return response_of(*refusal);
  }
  if (metrics) {
    ApiFigures figures{.answered = {}, .token_failures = token_failures_.counts()};
    {
      const std::lock_guard held(mutex_);
      figures.answered = answered_;
    }
    return {.body = hooks_.metrics(figures),
            .content_type = "text/plain; version=0.0.4; charset=utf-8"};
  }
  return head.path == "/readyz" ? readiness() : HttpResponse{.body = R"({"status":"alive"})"};
}

HttpResponse Api::readiness() const {
  switch (phase_.load()) {
    case Phase::Starting:
      return response_of(unavailable("starting"));
    case Phase::Draining:
      return response_of(unavailable("draining"));
    case Phase::Ready:
      break;
  }
  const std::string why = hooks_.not_ready();
  if (!why.empty()) return response_of(unavailable(why));
  Json ready = Json::object({{"status", "ready"}});
  if (const std::string problem = hooks_.state_problem(); !problem.empty()) {
    ready.set("state", problem);
  }
  return {.body = to_text(ready)};
}

}  // namespace crossfade
