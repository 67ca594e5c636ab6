// The floor of the wire bench: a 1:1 TCP relay on one libuv loop.
//
//   relay LISTEN_PORT UPSTREAM_PORT      both on 127.0.0.1
//
// Does what any proxy with private upstream connections must do, and nothing else: accept, connect,
// pass bytes both ways, hold back a sender whose receiver is slow, close both when one closes. What
// crossfade costs beyond it is the price of knowing what passes by.
//
// It writes at once from the read buffer (no copy unless the kernel refuses), and both sides have
// TCP_NODELAY. It knows nothing of protocols, limits, or errors worth telling.
#include <uv.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kQueuedMax =
    256 * 1024;  // bytes waiting for a receiver before its sender waits

struct Pair;

struct End {
  uv_tcp_t tcp;
  uv_connect_t connecting;
  Pair* pair;
  End* peer;
  bool reading;
};

struct Pair {
  End client;
  End server;
  int handles_open;
};

struct Write {
  uv_write_t request;  // first, so that a pointer to it points to the whole
  End* from;           // whose reading may wait for it
  std::vector<char> bytes;
};

std::array<char, 64 * 1024>
    read_buffer;  // one for the loop: nothing in it outlives the read callback
sockaddr_in upstream_address;

uv_stream_t* stream(End* end) { return reinterpret_cast<uv_stream_t*>(&end->tcp); }

void on_closed(uv_handle_t* handle) {
  Pair* pair = static_cast<End*>(handle->data)->pair;
  if (--pair->handles_open == 0) delete pair;
}

void close_pair(Pair* pair) {
  for (End* end : {&pair->client, &pair->server}) {
    auto* handle = reinterpret_cast<uv_handle_t*>(&end->tcp);
    if (!uv_is_closing(handle)) uv_close(handle, on_closed);
  }
}

void on_alloc(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(read_buffer.data(), read_buffer.size());
}

void on_read(uv_stream_t* from_stream, ssize_t count, const uv_buf_t* buffer);

void on_written(uv_write_t* request, int status) {
  auto* write = reinterpret_cast<Write*>(request);
  End* from = write->from;
  delete write;
  if (status == UV_ECANCELED) return;  // the pair is closing
  if (status < 0) return close_pair(from->pair);
  if (!from->reading && uv_stream_get_write_queue_size(stream(from->peer)) < kQueuedMax / 2) {
    from->reading = uv_read_start(stream(from), on_alloc, on_read) == 0;
  }
}

void on_read(uv_stream_t* from_stream, ssize_t count, const uv_buf_t* buffer) {
  End* from = static_cast<End*>(from_stream->data);
  if (count < 0) return close_pair(from->pair);
  uv_buf_t bytes = uv_buf_init(buffer->base, static_cast<unsigned>(count));
  // Refused with UV_EAGAIN while earlier bytes are queued, so the order holds.
  const int sent = uv_try_write(stream(from->peer), &bytes, 1);
  if (sent < 0 && sent != UV_EAGAIN) return close_pair(from->pair);
  const std::size_t done = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  if (done == bytes.len) return;

  auto* write = new Write{{}, from, {bytes.base + done, bytes.base + bytes.len}};
  bytes = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
  if (uv_write(&write->request, stream(from->peer), &bytes, 1, on_written) < 0) {
    delete write;
    return close_pair(from->pair);
  }
  if (uv_stream_get_write_queue_size(stream(from->peer)) >= kQueuedMax) {
    uv_read_stop(from_stream);
    from->reading = false;
  }
}

void on_connected(uv_connect_t* request, int status) {
  Pair* pair = static_cast<End*>(request->handle->data)->pair;
  if (status == UV_ECANCELED) return;
  if (status < 0) return close_pair(pair);
  for (End* end : {&pair->client, &pair->server}) {
    uv_tcp_nodelay(&end->tcp, 1);
    end->reading = uv_read_start(stream(end), on_alloc, on_read) == 0;
  }
}

void on_connection(uv_stream_t* listener, int status) {
  if (status < 0) return;
  Pair* pair = new Pair{};
  for (End* end : {&pair->client, &pair->server}) {
    uv_tcp_init(listener->loop, &end->tcp);
    end->tcp.data = end;
    end->pair = pair;
    end->peer = end == &pair->client ? &pair->server : &pair->client;
  }
  pair->handles_open = 2;
  if (uv_accept(listener, stream(&pair->client)) < 0 ||
      uv_tcp_connect(&pair->server.connecting, &pair->server.tcp,
                     reinterpret_cast<const sockaddr*>(&upstream_address), on_connected) < 0) {
    close_pair(pair);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: relay LISTEN_PORT UPSTREAM_PORT\n");
    return 2;
  }
  sockaddr_in listen_address;
  uv_ip4_addr("127.0.0.1", std::stoi(argv[1]), &listen_address);
  uv_ip4_addr("127.0.0.1", std::stoi(argv[2]), &upstream_address);
  uv_tcp_t listener;
  uv_tcp_init(uv_default_loop(), &listener);
  if (uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&listen_address), 0) < 0 ||
      uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, on_connection) < 0) {
    std::fprintf(stderr, "relay: cannot listen on port %s\n", argv[1]);
    return 1;
  }
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
