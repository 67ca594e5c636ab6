// Which bodies are messages, and of which kind.
#include "control/mcp/json_rpc.h"

#include <doctest/doctest.h>

#include "control/json/parse.h"
#include "control/json/write.h"

namespace crossfade {

namespace {

RpcReading reading_of(const char* text) { return read_rpc(*parse_json(text)); }

}  // namespace

TEST_CASE("JSON-RPC messages: a method with an id asks, one without tells, none answers") {
  const RpcReading asks =
      reading_of(R"({"jsonrpc":"2.0","id":"a","method":"ping","params":{"x":1}})");
  CHECK(asks.complaint.empty());
  CHECK(asks.message.kind == RpcMessage::Kind::Request);
  CHECK(asks.message.method == "ping");
  CHECK(to_text(asks.message.params) == R"({"x":1})");
  CHECK(reading_of(R"({"jsonrpc":"2.0","method":"x"})").message.kind ==
        RpcMessage::Kind::Notification);
  CHECK(reading_of(R"({"jsonrpc":"2.0","id":1,"result":{}})").message.kind ==
        RpcMessage::Kind::Response);
}

TEST_CASE("JSON-RPC messages: what is none is complained of, with its id where it has one") {
  for (const char* text : {"[]", "1", "{}", R"({"jsonrpc":"2.0","id":null,"method":"x"})",
                           R"({"jsonrpc":"2.0","id":true,"method":"x"})",
                           R"({"jsonrpc":"2.0","id":1})", R"({"jsonrpc":"2.0","id":1,"method":[]})",
                           R"({"jsonrpc":"2.0","id":1,"method":"x","params":null})"}) {
    CHECK_FALSE(reading_of(text).complaint.empty());
  }
  CHECK(to_text(reading_of(R"({"jsonrpc":"1","id":7,"method":"x"})").message.id) == "7");
}

TEST_CASE("JSON-RPC answers: they carry the id of what they answer") {
  CHECK(to_text(rpc_result(Json(7), Json::object({}))) ==
        R"({"jsonrpc":"2.0","id":7,"result":{}})");
  CHECK(to_text(rpc_error(Json(), RpcCode::ParseError, "why")) ==
        R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"why"}})");
}

}  // namespace crossfade
