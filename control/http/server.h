// The HTTP side of the control port: connections, threads, limits. Knows no route and no JSON.
//
//   - one request per connection ("Connection: close"): a control port has no use for more, and
//   what
//     follows a refused body is never taken for a request
//   - a request must arrive whole within request_timeout_ms, its reply must leave within that too,
//   and its
//     head and body are bounded: a slow or endless sender costs one thread for a bounded time
//   - connections_max threads, for connections that have begun to send; silent ones cost none. When
//     all threads are taken, those who have sent for longest, and longer than a request needs, make
//     room, so that slow senders can not lock others out, nor a crowd that sends as it should
//
// Only server.cc includes httplib.h.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/base/result.h"

namespace crossfade {

struct HttpHead {
  std::string method;                        // "GET" for HEAD, too
  std::string path;                          // as it was sent, without the query
  std::map<std::string, std::string> query;  // decoded; the last of equal names
  std::string authorization;                 // header values; empty when absent
  std::string if_match;
  std::string verbose;  // X-Eden-Verbose
  std::string accept;
  std::string host;
  std::string origin;
  std::string mcp_session;   // Mcp-Session-Id
  std::string mcp_revision;  // MCP-Protocol-Version
  std::string peer;          // address of the client; empty when it has gone
};

// Where a response goes that is not one body.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // Has the time of a reply; false when nobody takes it any more.
  virtual bool send(std::string_view bytes) = 0;
  // False when the client has gone.
  virtual bool open() const = 0;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::string etag = {};                                          // header; empty: none
  std::string allow = {};                                         // header; empty: none
  std::string challenge = {};                                     // WWW-Authenticate; empty: none
  std::vector<std::pair<std::string, std::string>> headers = {};  // others
  // Sends the body piece by piece, for as long as it runs; null: `body` is all.
  std::function<void(EventSink&)> stream = {};
};

struct HttpLimits {
  std::uint32_t body_max = 1u << 20;  // bytes
  std::uint32_t request_timeout_ms = 10'000;
  std::uint32_t connections_max = 64;
};

struct HttpHandlers {
  // Asked before the body is read; an answer here refuses the request.
  std::function<std::optional<HttpResponse>(const HttpHead&)> admit;
  std::function<HttpResponse(const HttpHead&, const std::string& body)> handle;
  // What to say when the HTTP itself is at fault, or we are: status and sentence.
  std::function<HttpResponse(int status, const std::string& message)> refuse;
};

class TlsServer;

class HttpServer {
 public:
  // Over TLS, where `tls` is not null.
  HttpServer(HttpLimits limits, HttpHandlers handlers, std::shared_ptr<TlsServer> tls = nullptr);
  ~HttpServer();  // stops
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Binds and serves on threads of its own, until stop(): a listener that is lost to an error of
  // the system is logged and opened again. Returns the port.
  //   errors  Conflict: the address is in use or not ours
  Result<std::uint16_t> start(const std::string& host, std::uint16_t port);

  // Ends the listener and every connection; running handlers finish first.
  void stop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace crossfade
