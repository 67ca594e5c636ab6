// Calls of the control API of one sidecar.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "control/json/value.h"
#include "protocols/base/result.h"

namespace crossfade {

struct SidecarAddress {
  std::string url = "http://127.0.0.1:8000";  // http[s]://host[:port]
  std::string token;                          // empty: none is sent
  std::string ca_file;                        // of https; empty: the system's authorities
  std::uint32_t timeout_s = 60;               // to connect, and again for the answer
};

struct ApiCall {
  std::string method;
  std::string path;  // behind /api/v1, with its query
  Json body = {};    // null: none
  std::string if_match = {};
};

struct ApiAnswer {
  int status = 0;
  Json body;  // {"status", "data", …} or {"error", "message"}
  std::string etag;

  bool succeeded() const { return status >= 200 && status < 300; }
  const Json* data() const { return body.find("data"); }
  std::string message() const;  // of a failure, one sentence
};

class ApiClient {
 public:
  // errors  BadInput: not a URL of ours
  static Result<ApiClient> open(const SidecarAddress& address);
  ~ApiClient();
  ApiClient(ApiClient&&) noexcept;
  ApiClient& operator=(ApiClient&&) = delete;

  // Blocks until the answer is here. A refusal is an answer, too.
  //   errors  Unavailable: not reached, or no answer in time, or one that is not ours; `reason`
  //           says what to look at
  Result<ApiAnswer> call(const ApiCall& what);

 private:
  struct Parts;
  explicit ApiClient(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace crossfade
