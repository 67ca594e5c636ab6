// What makes a message a request, a notification or a response.
#include "control/mcp/json_rpc.h"

namespace crossfade {

namespace {

bool is_id(const Json& value) { return value.string() != nullptr || value.is_number(); }

}  // namespace

RpcReading read_rpc(const Json& body) {
  RpcReading reading;
  RpcMessage& message = reading.message;
  if (body.elements() != nullptr) {
    reading.complaint = "batches are not part of this revision of the protocol: send one message";
    return reading;
  }
  if (body.members() == nullptr) {
    reading.complaint = "a message is an object";
    return reading;
  }
  const Json* id = body.find("id");
  if (id != nullptr && is_id(*id)) message.id = *id;
  const Json* version = body.find("jsonrpc");
  const Json* method = body.find("method");
  const Json* params = body.find("params");
  if (version == nullptr || !(*version == Json("2.0"))) {
    reading.complaint = "jsonrpc: must be \"2.0\"";
  } else if (id != nullptr && message.id.is_null()) {
    reading.complaint = "id: must be a string or a number";
  } else if (method == nullptr) {
    message.kind = RpcMessage::Kind::Response;
    if (body.find("result") == nullptr && body.find("error") == nullptr) {
      reading.complaint = "a message has a method, a result or an error";
    }
  } else if (method->string() == nullptr) {
    reading.complaint = "method: must be a string";
  } else if (params != nullptr && params->members() == nullptr) {
    reading.complaint = "params: must be an object";
  } else {
    message.kind = id == nullptr ? RpcMessage::Kind::Notification : RpcMessage::Kind::Request;
    message.method = *method->string();
    if (params != nullptr) message.params = *params;
  }
  return reading;
}

Json rpc_result(const Json& id, Json result) {
  return Json::object({{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}});
}

Json rpc_error(const Json& id, RpcCode code, const std::string& message) {
  return Json::object(
      {{"jsonrpc", "2.0"},
       {"id", id},
       {"error", Json::object({{"code", static_cast<int>(code)}, {"message", message}})}});
}

Json rpc_notification(const char* method, Json params) {
  return Json::object({{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}});
}

}  // namespace crossfade
