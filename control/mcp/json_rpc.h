// JSON-RPC 2.0 messages, as far as the Model Context Protocol uses them: one message for each body.
#pragma once

#include <string>

#include "control/json/value.h"

namespace crossfade {

// https://www.jsonrpc.org/specification, section 5.1.
enum class RpcCode : int {
  ParseError = -32700,
  InvalidRequest = -32600,
  MethodNotFound = -32601,
  InvalidParams = -32602,
};

struct RpcMessage {
  enum class Kind : std::uint8_t {
    Request,       // has a method and an id, and is answered
    Notification,  // has a method and no id
    Response       // has neither: what a client answers
  };
  Kind kind = Kind::Request;
  Json id;  // a string or a number; null but in a request
  std::string method;
  Json params;  // an object, or null
};

// A message, or in `complaint` why it is none. The id is set in any case, where it can be told.
struct RpcReading {
  RpcMessage message;
  std::string complaint;
};
RpcReading read_rpc(const Json& body);

Json rpc_result(const Json& id, Json result);
Json rpc_error(const Json& id, RpcCode code, const std::string& message);
Json rpc_notification(const char* method, Json params);

}  // namespace crossfade
