// The Model Context Protocol on HTTP: tools for migrations, for clients that are programs.
//
// Streamable HTTP as of revision 2025-06-18: POST takes one JSON-RPC message, `initialize` begins a
// session, GET opens its stream of events, DELETE ends it. Knows the API as a door (tools.h) and
// HTTP as heads and responses; the rules of access are the API's. Any number of threads.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "control/http/server.h"
#include "control/mcp/json_rpc.h"
#include "control/mcp/sessions.h"
#include "control/mcp/tools.h"

namespace crossfade {

inline constexpr const char* kMcpRevision = "2025-06-18";

// True for the paths at which the protocol is spoken: below kApiBase, "/mcp/migrations" and
// "/tools/migrations".
bool is_mcp_path(std::string_view path);
inline constexpr const char* kMcpMethods = "GET, POST, DELETE";

class Mcp {
 public:
  explicit Mcp(std::string version) : version_(std::move(version)) {}  // of the program

  // One request of a caller that has a token of that name; `api` calls as that caller, and must
  // stay valid as long as a response streams.
  HttpResponse handle(const HttpHead& head, const std::string& body, const std::string& token,
                      const ApiDoor& api);

  // Ends what streams without end; for when the process stops.
  void close() { sessions_.close(); }

 private:
  HttpResponse take(const HttpHead& head, const std::string& body, const std::string& token,
                    const ApiDoor& api);
  HttpResponse answer(const HttpHead& head, const RpcMessage& request, const ApiDoor& api);
  HttpResponse initialize(const RpcMessage& request, const std::string& token);
  HttpResponse call(const HttpHead& head, const RpcMessage& request, const ApiDoor& api);
  HttpResponse stream(const HttpHead& head, const std::string& token);
  // nullopt: the session that the head names is one, of that token.
  std::optional<HttpResponse> check_session(const HttpHead& head, const std::string& token);

  const std::string version_;
  McpSessions sessions_;
};

}  // namespace crossfade
