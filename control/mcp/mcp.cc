// Which message is answered how.
#include "control/mcp/mcp.h"

#include <optional>

#include "control/json/parse.h"
#include "control/json/write.h"

namespace crossfade {

namespace {

constexpr const char* kEventStream = "text/event-stream";
constexpr auto kKeepAlive = std::chrono::seconds(15);  // between two signs of life of a stream
constexpr auto kPeerLook = std::chrono::seconds(1);    // between two looks whether anybody listens

HttpResponse plain_refusal(int status, const char* error, const std::string& message) {
  return {.status = status,
          .body = to_text(Json::object({{"error", error}, {"message", message}}))};
}

HttpResponse message_of(const Json& message, int status = 200) {
  return {.status = status, .body = to_text(message)};
}

// An event of a stream. JSON of ours has no line feeds (HTML, 9.2.6: one data line).
std::string event_of(const Json& message) {
  return "event: message\ndata: " + to_text(message) + "\n\n";
}

bool accepts(const HttpHead& head, std::string_view type) {
  return head.accept.find(type) != head.accept.npos || head.accept.find("*/*") != head.accept.npos;
}

// A browser names the page that sends a request; a page of elsewhere must not (DNS rebinding).
bool is_of_elsewhere(const HttpHead& head) {
  if (head.origin.empty()) return false;
  const std::size_t slashes = head.origin.find("://");
  return slashes == head.origin.npos || head.origin.substr(slashes + 3) != head.host;
}

// The token that a request gives for the progress it wants to be told of; null: none.
Json progress_token(const RpcMessage& request) {
  const Json* meta = request.params.find("_meta");
  const Json* token = meta == nullptr ? nullptr : meta->find("progressToken");
  return token == nullptr ? Json() : *token;
}

Json content_of(const std::string& text) {
  Json content = Json::array();
  content.push(Json::object({{"type", "text"}, {"text", text}}));
  return content;
}

Json message_of(const RpcMessage& request, const std::variant<ToolResult, ToolMisuse>& outcome) {
  if (const auto* misuse = std::get_if<ToolMisuse>(&outcome)) {
    return rpc_error(request.id, RpcCode::InvalidParams, misuse->why);
  }
  const ToolResult& result = std::get<ToolResult>(outcome);
  if (result.failed()) {
    return rpc_result(request.id,
                      Json::object({{"content", content_of(result.failure)}, {"isError", true}}));
  }
  return rpc_result(request.id, Json::object({{"content", content_of(to_text(result.structured))},
                                              {"structuredContent", result.structured},
                                              {"isError", false}}));
}

}  // namespace

bool is_mcp_path(std::string_view path) {
  return path == "/api/v1/mcp/migrations" || path == "/api/v1/tools/migrations";
}

HttpResponse Mcp::handle(const HttpHead& head, const std::string& body, const std::string& token,
                         const ApiDoor& api) {
  if (is_of_elsewhere(head)) {
    return plain_refusal(403, "Forbidden", "Origin: is not this server's");
  }
  if (head.method == "POST") return take(head, body, token, api);
  if (auto refusal = check_session(head, token)) return *refusal;
  if (head.method == "GET") return stream(head, token);
  sessions_.end(head.mcp_session);
  return {.status = 204, .body = ""};
}

std::optional<HttpResponse> Mcp::check_session(const HttpHead& head, const std::string& token) {
  if (!head.mcp_revision.empty() && head.mcp_revision != kMcpRevision) {
    std::string why = "MCP-Protocol-Version: this server speaks ";
    why += kMcpRevision;
    return plain_refusal(400, "Bad Request", why);
  }
  if (head.mcp_session.empty()) {
    return plain_refusal(400, "Bad Request", "Mcp-Session-Id: send what initialize has answered");
  }
  if (!sessions_.use(head.mcp_session, token, McpSessions::Clock::now())) {
    return plain_refusal(404, "Not found", "the session has ended: initialize a new one");
  }
  return std::nullopt;
}

HttpResponse Mcp::take(const HttpHead& head, const std::string& body, const std::string& token,
                       const ApiDoor& api) {
  if (!accepts(head, "application/json")) {
    return plain_refusal(406, "Bad Request", "Accept: must take application/json");
  }
  const auto json = parse_json(body);
  if (!json) {
    return message_of(rpc_error({}, RpcCode::ParseError, json.error().message()), 400);
  }
  const RpcReading reading = read_rpc(json.value());
  const RpcMessage& message = reading.message;
  if (!reading.complaint.empty()) {
    return message_of(rpc_error(message.id, RpcCode::InvalidRequest, reading.complaint), 400);
  }
  const bool begins = message.kind == RpcMessage::Kind::Request && message.method == "initialize";
  if (begins) return initialize(message, token);
  if (auto refusal = check_session(head, token)) return *refusal;
  if (message.kind != RpcMessage::Kind::Request) return {.status = 202, .body = ""};
  return answer(head, message, api);
}

HttpResponse Mcp::initialize(const RpcMessage& request, const std::string& token) {
  HttpResponse response = message_of(rpc_result(
      request.id,
      Json::object(
          {{"protocolVersion", kMcpRevision},
           {"capabilities", Json::object({{"tools", Json::object({{"listChanged", false}})}})},
           {"serverInfo",
            Json::object(
                {{"name", "crossfade"}, {"title", "crossfade migrations"}, {"version", version_}})},
           {"instructions",
            "Moves live Redis and PostgreSQL traffic from an old server to a new one. Test a "
            "migration before it is started; rollback_migration takes all traffic back to "
            "old."}})));
  response.headers.push_back({"Mcp-Session-Id", sessions_.begin(token, McpSessions::Clock::now())});
  return response;
}

HttpResponse Mcp::answer(const HttpHead& head, const RpcMessage& request, const ApiDoor& api) {
  if (request.method == "ping") return message_of(rpc_result(request.id, Json::object({})));
  if (request.method == "tools/list") {
    return message_of(rpc_result(request.id, Json::object({{"tools", tool_list()}})));
  }
  if (request.method == "tools/call") return call(head, request, api);
  return message_of(
      rpc_error(request.id, RpcCode::MethodNotFound, "this server has no such method"));
}

HttpResponse Mcp::call(const HttpHead& head, const RpcMessage& request, const ApiDoor& api) {
  const Json* name = request.params.find("name");
  if (name == nullptr || name->string() == nullptr) {
    return message_of(
        rpc_error(request.id, RpcCode::InvalidParams, "params.name: must be a string"));
  }
  const Json* given = request.params.find("arguments");
  const Json arguments = given == nullptr ? Json() : *given;
  const Json token = progress_token(request);
  if (token.is_null() || !accepts(head, kEventStream)) {
    return message_of(message_of(
        request, call_tool(*name->string(), arguments, api, [](int, int, const std::string&) {})));
  }
  // Progress comes before the answer, so both come as events.
  HttpResponse response{.status = 200, .body = "", .content_type = kEventStream};
  response.stream = [request, arguments, token, api, tool = *name->string()](EventSink& sink) {
    const auto progress = [&](int done, int total, const std::string& message) {
      // Who has gone has not taken the call back (Transports, Sending Messages, 6).
      static_cast<void>(sink.send(event_of(
          rpc_notification("notifications/progress", Json::object({{"progressToken", token},
                                                                   {"progress", done},
                                                                   {"total", total},
                                                                   {"message", message}})))));
    };
    static_cast<void>(
        sink.send(event_of(message_of(request, call_tool(tool, arguments, api, progress)))));
  };
  return response;
}

// The server has nothing to say unasked: the stream shows that both are there.
HttpResponse Mcp::stream(const HttpHead& head, const std::string& token) {
  if (!accepts(head, kEventStream)) {
    return plain_refusal(406, "Bad Request", "Accept: must take text/event-stream");
  }
  if (!sessions_.open_stream(token)) {
    std::string why = "mcp_streams_max: ";
    why += std::to_string(kMcpStreamsMax);
    why += " streams are open, or ";
    why += std::to_string(kMcpStreamsOfTokenMax);
    why += " of this token, or the sidecar is stopping";
    return plain_refusal(503, "Unavailable", why);
  }
  HttpResponse response{.status = 200, .body = "", .content_type = kEventStream};
  // Closed with the last copy of what streams, whether it ever began or not.
  const std::shared_ptr<McpSessions> open(
      &sessions_, [token](McpSessions* sessions) { sessions->close_stream(token); });
  response.stream = [open, id = head.mcp_session](EventSink& sink) {
    if (!sink.send(": open\n\n")) return;
    auto alive = McpSessions::Clock::now();
    while (sink.open() && open->wait(id, kPeerLook)) {
      if (McpSessions::Clock::now() - alive < kKeepAlive) continue;
      if (!sink.send(": alive\n\n")) return;
      alive = McpSessions::Clock::now();
    }
  };
  return response;
}

}  // namespace crossfade
