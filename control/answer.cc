// Errors sorted into the classes of the API.
#include "control/answer.h"

namespace crossfade {

Refusal bad_request(std::string message) {
  return {.status = 400, .error = "Bad Request", .message = std::move(message)};
}

Refusal not_found(const char* what, const std::string& id) {
  return {.status = 404,
          .error = "Not found",
          .message = std::string(what) + " '" + id + "' does not exist"};
}

Refusal conflict(std::string message) {
  return {.status = 409, .error = "Migration error", .message = std::move(message)};
}

Refusal precondition_failed(const std::string& current_etag) {
  return {.status = 412,
          .error = "Precondition failed",
          .message = "the resource has changed: its ETag is " + current_etag};
}

Refusal unavailable(std::string message) {
  return {.status = 503, .error = "Unavailable", .message = std::move(message)};
}

Refusal refuse(const Error& error) {
  switch (error.code) {
    case Errc::BadInput:
    case Errc::BadConfig:
      return bad_request(error.message());
    case Errc::NotFound:
      return {.status = 404, .error = "Not found", .message = error.message()};
    case Errc::Conflict:
      return conflict(error.message());
    case Errc::PeerClosed:
    case Errc::Timeout:
    case Errc::Overloaded:
    case Errc::Unavailable:
    case Errc::System:
      return unavailable(error.message());
  }
  return unavailable(error.message());
}

}  // namespace crossfade
