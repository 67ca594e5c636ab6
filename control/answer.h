// What a control call answers: data, or a refusal in the classes of the API. Knows nothing of HTTP
// beyond its status numbers.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "control/json/value.h"
#include "protocols/base/result.h"

namespace crossfade {

struct Reply {
  int status = 200;                // 200 or 201
  Json data;                       // of any sort
  Json beside = Json::object({});  // further top-level members, next to "status" and "data"
  std::string etag = {};           // with its quotes; empty: none
};

struct Refusal {
  int status = 400;
  std::string error;                // the class: "Bad Request", "Not found", …
  std::string message;              // a sentence; never a secret
  Json beside = Json::object({});   // further top-level members, next to "error" and "message"
  std::uint32_t retry_after_s = 0;  // when to ask again; 0: it is not said
};

using Answer = std::variant<Reply, Refusal>;

Refusal bad_request(std::string message);
Refusal not_found(const char* what, const std::string& id);  // "Migration 'x' does not exist"
Refusal conflict(std::string message);
Refusal precondition_failed(const std::string& current_etag);
Refusal unavailable(std::string message);

// Sorts an error into its class.
Refusal refuse(const Error& error);

}  // namespace crossfade
