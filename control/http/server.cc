// The only file that includes httplib.h.
#include "control/http/server.h"

#include <httplib.h>
#include <poll.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <system_error>
#include <thread>
#include <vector>

#include "control/background.h"
#include "control/http/bounded_socket.h"
#include "control/http/connections.h"
#include "control/http/lobby.h"
#include "tls/context.h"

namespace crossfade {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPathMax = 1024;       // bytes; the longest of ours has about 300
constexpr std::size_t kHeadMax = 64u << 10;  // bytes of request line and headers, beside the body's
// Connections that have sent nothing yet, for each thread.
constexpr std::size_t kSilentOfEach = 16;
constexpr int kBacklog = 1024;  // connections that wait to be accepted
constexpr auto kReopenPause = std::chrono::milliseconds(100);
constexpr auto kLinger = std::chrono::milliseconds(500);
constexpr std::size_t kLingerMax = 4u
                                   << 20;  // bytes read and thrown away so that a refusal is seen

// A bounded socket, as httplib takes it.
class Stream : public httplib::Stream {
 public:
  explicit Stream(BoundedSocket& socket) : socket_(socket) {}

  bool is_readable() const override { return socket_.is_readable(); }
  bool is_writable() const override { return socket_.is_writable(); }
  ssize_t read(char* into, size_t size) override { return socket_.read(into, size); }
  ssize_t write(const char* from, size_t size) override { return socket_.write({from, size}); }
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    ip = socket_.peer();
    port = 0;  // of no use
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    ip.clear();
    port = 0;
  }
  socket_t socket() const override { return socket_.descriptor(); }

 private:
  BoundedSocket& socket_;
};

// A client that sends a request line of no known method, and does not listen.
class Nobody : public httplib::Stream {
 public:
  bool is_readable() const override { return !left_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* into, size_t size) override {
    const std::size_t count = std::min(size, left_.size());
    std::copy_n(left_.data(), count, into);
    left_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char*, size_t size) override { return static_cast<ssize_t>(size); }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }

 private:
  std::string_view left_ = "NONE / HTTP/1.1\r\n\r\n";
};

// A fixed number of threads, for connections that have begun to send.
class Workers : public httplib::TaskQueue {
 public:
  // `serve` has the connection to itself, and closes it. `on_end` is called when no more of them
  // will come, before anything is waited for.
  Workers(const HttpLimits& limits, Connections& connections,
          std::function<void(Lobby::Visitor)> serve, std::function<void()> on_end)
      : connections_(connections),
        serve_(std::move(serve)),
        on_end_(std::move(on_end)),
        lobby_(limits.connections_max * kSilentOfEach,
               std::chrono::milliseconds(limits.request_timeout_ms),
               [this](Lobby::Visitor visitor) { push(visitor); }) {
    const std::size_t count = limits.connections_max;
    connections_.open();
    for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
    idle_ = count;
  }

  // What the library wants done with a connection is to give it to enter().
  void enqueue(std::function<void()> task) override { task(); }
  void enter(int descriptor) { lobby_.enter(descriptor); }

  // How many connections have begun to send and find no thread free.
  std::size_t wanted() {
    const std::lock_guard held(mutex_);
    return visitors_.size() > idle_ ? visitors_.size() - idle_ : 0;
  }

  void shutdown() override {
    on_end_();
    lobby_.close();
    {
      const std::lock_guard held(mutex_);
      ending_ = true;
    }
    connections_.close();
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void push(Lobby::Visitor visitor) {
    const std::lock_guard held(mutex_);
    visitors_.push_back(visitor);
    wake_.notify_one();
  }

  void work() {
    std::unique_lock held(mutex_);
    for (;;) {
      wake_.wait(held, [this] { return ending_ || !visitors_.empty(); });
      if (visitors_.empty()) return;
      const Lobby::Visitor visitor = visitors_.front();
      visitors_.pop_front();
      --idle_;
      held.unlock();
      serve_(visitor);
      held.lock();
      ++idle_;
    }
  }

  Connections& connections_;
  const std::function<void(Lobby::Visitor)> serve_;
  const std::function<void()> on_end_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Lobby::Visitor> visitors_;  // without a thread
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool ending_ = false;
  Lobby lobby_;  // last: its thread uses the others
};

HttpHead head_of(const httplib::Request& request) {
  HttpHead head{.method = request.method == "HEAD" ? "GET" : request.method,
                .path = request.target.substr(0, request.target.find_first_of("?#")),
                .query = {},
                .authorization = request.get_header_value("Authorization"),
                .if_match = request.get_header_value("If-Match"),
                .verbose = request.get_header_value("X-Eden-Verbose"),
                .accept = request.get_header_value("Accept"),
                .host = request.get_header_value("Host"),
                .origin = request.get_header_value("Origin"),
                .mcp_session = request.get_header_value("Mcp-Session-Id"),
                .mcp_revision = request.get_header_value("MCP-Protocol-Version"),
                .peer = request.remote_addr};
  for (const auto& [name, value] : request.params) head.query[name] = value;
  return head;
}

void fill(httplib::Response& response, const HttpResponse& ours) {
  response.status = ours.status;
  if (!ours.body.empty()) response.set_content(ours.body, ours.content_type);
  for (const auto& [name, value] : ours.headers) response.set_header(name, value);
  response.set_header("Cache-Control", "no-store");
  if (!ours.etag.empty()) response.set_header("ETag", ours.etag);
  if (!ours.allow.empty()) response.set_header("Allow", ours.allow);
  if (!ours.challenge.empty()) response.set_header("WWW-Authenticate", ours.challenge);
}

// Content-Length; 0 when there is none, or none that is a number.
std::uint64_t declared_size(const httplib::Request& request) {
  const std::string text = request.get_header_value("Content-Length");
  std::uint64_t size = 0;
  const auto code = std::from_chars(text.data(), text.data() + text.size(), size).ec;
  return code == std::errc::result_out_of_range ? UINT64_MAX : size;
}

// Sends what is queued and waits for the peer to be done: closing over unread bytes would reset the
// connection and take the answer with it.
void close_gently(socket_t socket) {
  ::shutdown(socket, SHUT_WR);
  std::array<char, 4096> discarded;
  const auto deadline = Clock::now() + kLinger;
  for (std::size_t total = 0; total < kLingerMax && Clock::now() < deadline;) {
    pollfd poller{.fd = socket, .events = POLLIN, .revents = 0};
    if (::poll(&poller, 1, 50) < 0) break;
    const ssize_t got = ::recv(socket, discarded.data(), discarded.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) break;
    if (got > 0) total += static_cast<std::size_t>(got);
  }
  ::close(socket);
}

// Pieces of a response as chunks.
class Pieces : public EventSink {
 public:
  Pieces(httplib::DataSink& sink, BoundedSocket& socket) : sink_(sink), socket_(socket) {}
  bool send(std::string_view bytes) override {
    socket_.begin_piece();
    return open_ = open_ && sink_.write(bytes.data(), bytes.size());
  }
  bool open() const override { return open_ && socket_.has_peer(); }

 private:
  httplib::DataSink& sink_;
  BoundedSocket& socket_;
  bool open_ = true;
};

class Server : public httplib::Server {
 public:
  Server(const HttpLimits& limits, const HttpHandlers& handlers, Connections& connections,
         std::shared_ptr<TlsServer> tls)
      : limits_(limits), handlers_(handlers), connections_(connections), tls_(std::move(tls)) {
    new_task_queue = [this] {
      workers_ = new Workers(
          limits_, connections_, [this](Lobby::Visitor visitor) { serve_visitor(visitor); },
          [this] { forget_listener(); });
      return workers_;
    };
    // Its default would share the port with any other process that asks for it.
    set_socket_options([](socket_t socket) {
      const int on = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    set_payload_max_length(limits_.body_max);
    make_static_tables();
    route();
  }

  // Binds and listens; returns the port, or nothing.
  std::optional<std::uint16_t> bind(const std::string& host, std::uint16_t port) {
    const int bound = port == 0 ? bind_to_any_port(host) : bind_to_port(host, port) ? port : -1;
    if (bound <= 0) return std::nullopt;
    // Again: the library lets five wait, and what the sixth sends is lost for a second.
    ::listen(svr_sock_, kBacklog);
    return static_cast<std::uint16_t>(bound);
  }

  // After bind(), on one thread: serves until end(), and whenever the listener is lost to an error
  // (the library closes it when accept() fails, but for want of a descriptor of ours) binds again.
  void serve(const std::string& host, std::uint16_t port) {
    for (;;) {
      listen_after_bind();
      if (ending_) return;
      spdlog::error("control port {}:{}: no more connections are accepted ({}); opening it again",
                    host, port, std::generic_category().message(lost_by_));
      do {
        std::unique_lock held(mutex_);
        if (wake_.wait_for(held, kReopenPause, [this] { return ending_.load(); })) return;
      } while (!bind(host, port));
      if (ending_) {  // end() may have passed before there was a listener
        ::close(svr_sock_.exchange(INVALID_SOCKET));
        return;
      }
      spdlog::info("control port {}:{}: is open again", host, port);
    }
  }

  // Makes serve() return, at whatever point it is. Any thread. Unlike stop() of the library it
  // leaves the descriptor to its thread: by now its number may be somebody else's.
  void end() {
    {
      const std::lock_guard held(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    if (const socket_t listener = svr_sock_; listener != INVALID_SOCKET) {
      ::shutdown(listener, SHUT_RDWR);  // accept() fails, now or when it is called
    }
  }

 private:
  using Request = httplib::Request;
  using Response = httplib::Response;
  using Reader = httplib::ContentReader;

  // The library has just closed it, and keeps its number.
  void forget_listener() {
    lost_by_ = errno;
    svr_sock_ = INVALID_SOCKET;
  }

  // The library makes a table when it first reads a request line, guarded as the language has it.
  // It is not built with TSan, which does not see that guard; so the first one is read before there
  // are threads.
  void make_static_tables() {
    Nobody nobody;
    bool closed = false;
    process_request(nobody, true, closed, [](Request&) {});
  }

  void route() {
    const auto without_body = [this](const Request& request, Response& response) {
      const HttpHead head = head_of(request);
      if (const auto refusal = handlers_.admit(head)) return fill(response, *refusal);
      answer(head, "", response);
    };
    const auto with_body = [this](const Request& request, Response& response,
                                  const Reader& reader) { take(request, response, reader); };
    // One pattern for all paths: which there are is not known here.
    const std::string any = ".*";
    Get(any, without_body);
    Options(any, without_body);
    Post(any, with_body);
    Put(any, with_body);
    Patch(any, with_body);
    Delete(any, with_body);
    set_pre_routing_handler([this](const Request& request, Response& response) {
      if (request.path.size() <= kPathMax) return HandlerResponse::Unhandled;
      fill(response, handlers_.refuse(404, "the path is too long to be one of ours"));
      return HandlerResponse::Handled;
    });
    set_error_handler([this](const Request&, Response& response) {
      if (!response.body.empty()) return;
      fill(response, handlers_.refuse(response.status,
                                      "the request is not valid HTTP, or of a "
                                      "method that is not known here"));
    });
    set_exception_handler([this](const Request&, Response& response, std::exception_ptr) {
      spdlog::error("control port: an exception met a request");
      fill(response, handlers_.refuse(500, "the sidecar failed at this request"));
    });
  }

  void take(const Request& request, Response& response, const Reader& reader) {
    const HttpHead head = head_of(request);
    if (const auto refusal = handlers_.admit(head)) return fill(response, *refusal);
    if (request.is_multipart_form_data()) {
      return fill(response, handlers_.refuse(400, "the body must be JSON"));
    }
    const auto too_large = [&] {
      fill(response, handlers_.refuse(413, "the body is larger than " +
                                               std::to_string(limits_.body_max) + " bytes"));
    };
    if (declared_size(request) > limits_.body_max) return too_large();
    std::string body;
    const bool has_body =
        request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
    if (has_body && !read_body(reader, body)) {
      if (body.size() > limits_.body_max) return too_large();
      return fill(response,
                  handlers_.refuse(400, request.has_header("Content-Encoding")
                                            ? "the body did not arrive whole, or is not encoded as "
                                              "its Content-Encoding says"
                                            : "the body did not arrive whole"));
    }
    answer(head, body, response);
  }

  bool read_body(const Reader& reader, std::string& body) const {
    return reader([&](const char* bytes, std::size_t size) {
      body.append(bytes, size);  // may be decompressed: the limit is on what comes out
      return body.size() <= limits_.body_max;
    });
  }

  // The request is here: while it is worked for its connection is not turned away. What a handler
  // does has limits of its own.
  void answer(const HttpHead& head, const std::string& body, Response& response) const {
    guest_->arrived();
    const HttpResponse ours = handlers_.handle(head, body);
    fill(response, ours);
    if (!ours.stream) return;
    response.set_chunked_content_provider(
        ours.content_type, [stream = ours.stream](std::size_t, httplib::DataSink& sink) {
          Pieces pieces(sink, *socket_);
          stream(pieces);
          sink.done();
          return true;
        });
  }

  // Called by the library as soon as there is a connection.
  bool process_and_close_socket(socket_t descriptor) override {
    workers_->enter(descriptor);
    return true;
  }

  void serve_visitor(Lobby::Visitor visitor) {
    const auto limit = std::chrono::milliseconds(limits_.request_timeout_ms);
    {
      Connections::Guest guest(connections_, visitor.descriptor);
      BoundedSocket socket(visitor.descriptor, visitor.came, limit,
                           kHeadMax + limits_.body_max * 2ull,
                           [&] { return guest.gives_way(workers_->wanted()); });
      Stream stream(socket);
      guest_ = &guest;
      socket_ = &socket;
      bool closed = false;
      // Answers are whole: the library would cut any of them, those of changes too.
      const auto whole = [](Request& request) { request.ranges.clear(); };
      if (secured(socket)) process_request(stream, true, closed, whole);
      socket.finish();
    }
    close_gently(visitor.descriptor);
  }

  bool secured(BoundedSocket& socket) const {
    if (!tls_) return true;
    auto handle = tls_->begin();
    return handle && socket.secure(std::move(*handle));
  }

  const HttpLimits limits_;
  const HttpHandlers handlers_;
  Connections& connections_;
  Workers* workers_ = nullptr;  // the library's; there while it listens
  const std::shared_ptr<TlsServer> tls_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> ending_ = false;
  int lost_by_ = 0;  // errno of what ended the last listener
  // The handlers of httplib are not told which connection they serve; each runs on one thread
  // throughout.
  static inline thread_local Connections::Guest* guest_ = nullptr;
  static inline thread_local BoundedSocket* socket_ = nullptr;
};

}  // namespace

struct HttpServer::Parts {
  Parts(HttpLimits limits, HttpHandlers handlers, std::shared_ptr<TlsServer> tls)
      : server(limits, handlers, connections, std::move(tls)) {}

  Connections connections;
  Server server;
  std::thread acceptor;
};

HttpServer::HttpServer(HttpLimits limits, HttpHandlers handlers, std::shared_ptr<TlsServer> tls)
    : parts_(std::make_unique<Parts>(limits, std::move(handlers), std::move(tls))) {}

HttpServer::~HttpServer() { stop(); }

Result<std::uint16_t> HttpServer::start(const std::string& host, std::uint16_t port) {
  const auto bound = parts_->server.bind(host, port);
  if (!bound) {
    return Error{Errc::Conflict, "open the control port " + host + ":" + std::to_string(port),
                 "the address is in use, or not one of this machine"};
  }
  parts_->acceptor = std::thread([this, host, bound = *bound] {
    give_way();  // and with it its workers
    parts_->server.serve(host, bound);
  });
  return *bound;
}

void HttpServer::stop() {
  if (!parts_->acceptor.joinable()) return;
  parts_->server.end();
  parts_->acceptor.join();
}

}  // namespace crossfade
