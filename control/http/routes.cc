// The table of routes, and how a path is matched against it.
#include "control/http/routes.h"

#include <array>
#include <utility>

#include "control/definitions/url.h"

namespace crossfade {

namespace {

using Segments = std::vector<std::string>;

// Read may list and watch; single migrations, and whatever changes something, are for admins.
constexpr std::array kRoutes = {
    Route{
        "GET", "/endpoints", Role::Read, false, Body::None,
        [](Services& s, const Segments&, const Json&, const Call&) { return s.endpoints.list(); }},
    Route{"POST", "/endpoints", Role::Admin, true, Body::Object,
          [](Services& s, const Segments&, const Json& body, const Call& call) {
            return s.endpoints.create(body, call);
          }},
    Route{"GET", "/endpoints/{}", Role::Read, false, Body::None,
          [](Services& s, const Segments& at, const Json&, const Call&) {
            return s.endpoints.get(at[0]);
          }},
    Route{"PATCH", "/endpoints/{}", Role::Admin, true, Body::Object,
          [](Services& s, const Segments& at, const Json& body, const Call& call) {
            return s.endpoints.patch(at[0], body, call);
          }},
    Route{"DELETE", "/endpoints/{}", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.endpoints.remove(at[0], call);
          }},

    Route{
        "GET", "/interlays", Role::Read, false, Body::None,
        [](Services& s, const Segments&, const Json&, const Call&) { return s.interlays.list(); }},
    Route{"POST", "/interlays", Role::Admin, true, Body::Object,
          [](Services& s, const Segments&, const Json& body, const Call& call) {
            return s.interlays.create(body, call);
          }},
    Route{"GET", "/interlays/{}", Role::Read, false, Body::None,
          [](Services& s, const Segments& at, const Json&, const Call&) {
            return s.interlays.get(at[0]);
          }},
    Route{"PATCH", "/interlays/{}", Role::Admin, true, Body::Object,
          [](Services& s, const Segments& at, const Json& body, const Call& call) {
            return s.interlays.patch(at[0], body, call);
          }},
    Route{"DELETE", "/interlays/{}", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.interlays.remove(at[0], call);
          }},
    Route{"POST", "/interlays/{}/start", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.interlays.start(at[0], call);
          }},
    Route{"POST", "/interlays/{}/stop", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.interlays.stop(at[0], call);
          }},

    Route{
        "GET", "/templates", Role::Read, false, Body::None,
        [](Services& s, const Segments&, const Json&, const Call&) { return s.templates.list(); }},
    Route{"POST", "/templates", Role::Admin, true, Body::Object,
          [](Services& s, const Segments&, const Json& body, const Call& call) {
            return s.templates.create(body, call);
          }},
    Route{"GET", "/templates/{}", Role::Read, false, Body::None,
          [](Services& s, const Segments& at, const Json&, const Call&) {
            return s.templates.get(at[0]);
          }},
    Route{"PATCH", "/templates/{}", Role::Admin, true, Body::Object,
          [](Services& s, const Segments& at, const Json& body, const Call& call) {
            return s.templates.patch(at[0], body, call);
          }},
    Route{"DELETE", "/templates/{}", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.templates.remove(at[0], call);
          }},

    Route{"GET", "/apis", Role::Read, false, Body::None,
          [](Services& s, const Segments&, const Json&, const Call&) { return s.apis.list(); }},
    Route{"POST", "/apis", Role::Admin, true, Body::Object,
          [](Services& s, const Segments&, const Json& body, const Call& call) {
            return s.apis.create(body, call);
          }},
    Route{"GET", "/apis/{}", Role::Read, false, Body::None,
          [](Services& s, const Segments& at, const Json&, const Call&) {
            return s.apis.get(at[0]);
          }},
    Route{"PATCH", "/apis/{}", Role::Admin, true, Body::Object,
          [](Services& s, const Segments& at, const Json& body, const Call& call) {
            return s.apis.patch(at[0], body, call);
          }},
    Route{"DELETE", "/apis/{}", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.apis.remove(at[0], call);
          }},

    Route{"GET", "/migrations", Role::Read, false, Body::None,
          [](Services& s, const Segments&, const Json&, const Call& call) {
            return s.migrations.list(call);
          }},
    Route{"POST", "/migrations", Role::Admin, true, Body::Object,
          [](Services& s, const Segments&, const Json& body, const Call& call) {
            return s.migrations.create(body, call);
          }},
    Route{"GET", "/migrations/{}", Role::Admin, false, Body::None,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.migrations.get(at[0], call);
          }},
    Route{"PATCH", "/migrations/{}", Role::Admin, true, Body::Object,
          [](Services& s, const Segments& at, const Json& body, const Call& call) {
            return s.migrations.patch(at[0], body, call);
          }},
    Route{"DELETE", "/migrations/{}", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.migrations.remove(at[0], call);
          }},
    Route{"POST", "/migrations/{}/interlay/{}", Role::Admin, true, Body::Object,
          [](Services& s, const Segments& at, const Json& body, const Call& call) {
            return s.migrations.add_interlay(at[0], at[1], body, call);
          }},
    Route{"POST", "/migrations/{}/api/{}", Role::Admin, true, Body::Object,
          [](Services& s, const Segments& at, const Json& body, const Call& call) {
            return s.migrations.add_api(at[0], at[1], body, call);
          }},
    Route{"DELETE", "/migrations/{}/api", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.migrations.remove_apis(at[0], call);
          }},
    Route{"GET", "/migrations/{}/status", Role::Read, false, Body::None,
          [](Services& s, const Segments& at, const Json&, const Call&) {
            return s.migrations.status(at[0]);
          }},
    Route{"GET", "/migrations/{}/events", Role::Admin, false, Body::None,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.migrations.events(at[0], call);
          }},
    Route{"GET", "/migrations/{}/divergence", Role::Admin, false, Body::None,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.divergence.get(at[0], call);
          }},

    Route{"POST", "/migrations/{}/test", Role::Admin, false, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call&) {
            return s.conductor.test(at[0]);
          }},
    Route{"POST", "/migrations/{}/migrate", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.conductor.migrate(at[0], call);
          }},
    Route{"POST", "/migrations/{}/pause", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.conductor.pause(at[0], call);
          }},
    Route{"POST", "/migrations/{}/resume", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.conductor.resume(at[0], call);
          }},
    Route{"POST", "/migrations/{}/complete", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.conductor.complete(at[0], call);
          }},
    Route{"POST", "/migrations/{}/rollback", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.conductor.rollback(at[0], call);
          }},
    Route{"POST", "/migrations/{}/verify", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.verifications.start(at[0], call);
          }},
    Route{"POST", "/migrations/{}/cancel", Role::Admin, true, Body::Command,
          [](Services& s, const Segments& at, const Json&, const Call& call) {
            return s.conductor.cancel(at[0], call);
          }},
};

// Cuts "a" off "/a/b" and leaves "/b"; false when nothing is left.
bool next_segment(std::string_view& rest, std::string_view& segment) {
  if (rest.empty() || rest.front() != '/') return false;
  rest.remove_prefix(1);
  const std::size_t end = rest.find('/');
  segment = rest.substr(0, end);
  rest = end == rest.npos ? std::string_view() : rest.substr(end);
  return true;
}

std::optional<Segments> match_path(std::string_view pattern, std::string_view path) {
  Segments segments;
  std::string_view expected;
  std::string_view given;
  while (next_segment(pattern, expected)) {
    if (!next_segment(path, given)) return std::nullopt;
    // What is no good encoding is no id either, and is said to be none as it is.
    std::string segment = percent_decode(given).value_or(std::string(given));
    if (expected == "{}" && !segment.empty()) {
      segments.push_back(std::move(segment));
    } else if (expected != segment) {
      return std::nullopt;
    }
  }
  if (!path.empty()) return std::nullopt;
  return segments;
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

RouteMatch match_route(std::string_view method, std::string_view path) {
  RouteMatch match;
  path.remove_prefix(kApiBase.size());
  if (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  for (const Route& route : kRoutes) {
    auto segments = match_path(route.path, path);
    if (!segments) continue;
    match.allowed += (match.allowed.empty() ? "" : ", ") + std::string(route.method);
    if (method != route.method) continue;
    match.route = &route;
    match.segments = std::move(*segments);
  }
  return match;
}

}  // namespace crossfade
