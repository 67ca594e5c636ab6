// One TCP connection on a loop: reads into the loop's shared buffer, writes views without copying.
// With TLS, from its beginning or from some point on, where that was asked for.
//
// Views given to write() stay valid until the event's flush(); what the kernel does not take then
// is copied, once, and goes out as the socket drains. unsent() tells the owner when to stop reading
// the source of those bytes.
//
// Under TLS all of that holds for plain text: what a read brought is decrypted at once, into
// another buffer of the loop, and what a flush() has gathered is encrypted there, in records as
// large as they may be. What waits for the socket is encrypted already.
//
// Knows nothing of protocols.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/uv_owner.h"
#include "strategies/networks.h"
#include "tls/engine.h"

namespace crossfade {

class Loop;
class Stream;

class StreamOwner {
 public:
  // The bytes are valid during the call only.
  virtual void on_bytes(std::string_view bytes) = 0;
  // The other end closed (status UV_EOF) or the connection failed. The stream is still open.
  virtual void on_end(int status) = 0;
  // Bytes could not be sent: the other end hears no more. What it said before, and its end, can
  // still be read by who goes on reading; for everybody else this is the end.
  virtual void on_deaf(int status) { on_end(status); }
  // All that was unsent has been sent.
  virtual void on_room() = 0;

 protected:
  ~StreamOwner() = default;
};

class Stream {
 public:
  Stream(Loop& loop, StreamOwner& owner) : loop_(loop), owner_(owner) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { close(); }

  bool accept(uv_stream_t* listener);
  // Makes the stream ready to take bytes that go out once connect() has succeeded.
  void expect_connect();
  // Calls `done` later; status 0 is success. May be called again with another address after a
  // failure: bytes written meanwhile are kept. False when the system refuses at once.
  //   tls  not null: the handshake follows at once, as its client, and is part of connecting;
  //        status UV_EPROTO: it failed, and tls_why() says why
  using Connected = void (*)(StreamOwner& owner, int status);
  bool connect(const sockaddr* address, Connected done, std::unique_ptr<TlsEngine> tls = nullptr);

  // Begins TLS on an open connection that has nothing unsent, in the engine's role. Calls `done`
  // later, as connect() does; bytes written meanwhile go out after it. It is read from then on,
  // and plain text may follow at once. A time limit is the owner's to keep.
  //   received  what was read before this, and is the handshake's
  //   returns   false: it has failed already; tls_why() says why
  bool secure(std::unique_ptr<TlsEngine> tls, Connected done, std::string_view received = {});
  // Still true when `done` is told of a failure.
  bool securing() const { return hold_ == Hold::Handshake; }
  // Null without TLS. After a handshake that failed it is there until the next attempt.
  const TlsEngine* tls() const { return tls_.get(); }
  std::string tls_why() const;

  bool open() const { return handle_ != nullptr || hold_ == Hold::Connect; }
  void close();               // immediately; unsent bytes are lost
  void close_when_sent();     // after the unsent bytes, or at once when there are none
  void shutdown_when_sent();  // half-close: the other end sees the end of our bytes

  // The other end, as "address:port"; empty when that is not known.
  std::string peer_name() const;
  std::optional<ClientAddress> peer_address() const;

  void read_start();
  void read_stop();
  bool reading() const { return reading_; }

  // `view` must stay valid until flush().
  void write(std::string_view view);
  // Bytes that do not outlive the call; few are copied and go out with the flush().
  void write_copy(std::string_view bytes);
  void flush() {
    if (gathered_ > 0) flush_gathered();
  }
  std::size_t unsent() const { return full_bytes_ + pending_.size() + in_write_; }

  // Adds changes of unsent() to *gauge; for limits over many streams.
  void set_gauge(std::uint64_t* gauge) { gauge_ = gauge; }

 private:
  std::optional<sockaddr_storage> peer() const;
  friend struct StreamCallbacks;
  enum class AfterSent : std::uint8_t { Nothing, Shutdown, Close };
  // What keeps plain text from going out.
  enum class Hold : std::uint8_t { Nothing, Connect, Handshake };
  bool init();
  // Whether bytes have to wait behind others.
  bool waits() const { return writing_ || hold_ != Hold::Nothing || !pending_.empty(); }
  void flush_gathered();
  std::size_t send_now(uv_buf_t* buffers, unsigned count);
  void keep(std::string_view bytes);
  void start_write();
  void on_connected(int status, Connected done);
  void read_failed(int status);
  void release();

  // stream_tls.cc
  // Under TLS plain text is gathered even while bytes wait: it is encrypted first.
  bool seals() const { return tls_ && hold_ == Hold::Nothing; }
  bool begin_handshake(Connected done);
  bool go_on_with_handshake();
  void end_handshake(int status);
  void send_flight();
  void take_wire(std::string_view bytes);
  void read_plain();
  void flush_tls();
  void seal(std::string_view plain);
  void seal_early();
  void send_sealed();
  void close_notify();
  void say_goodbye();
  void gauge_add(std::size_t n) {
    if (gauge_) *gauge_ += n;
  }
  void gauge_sub(std::size_t n) {
    if (gauge_) *gauge_ -= n;
  }

  static constexpr unsigned kGatherMax = 16;
  static constexpr std::size_t kCopiedMax = 1024;

  Loop& loop_;
  StreamOwner& owner_;
  UvOwner<uv_tcp_t> handle_;
  std::unique_ptr<TlsEngine> tls_;
  uv_buf_t gather_[kGatherMax];
  std::string copied_;  // what write_copy() has gathered; keeps its capacity
  std::uint64_t* gauge_ = nullptr;
  // What waits behind the write in progress, in pieces: one long string would be copied whole
  // whenever it grows. The last piece is not empty while there are others.
  std::vector<std::string> full_;
  std::size_t full_bytes_ = 0;
  std::string pending_;
  std::size_t in_write_ = 0;  // bytes of the write in progress
  unsigned gathered_ = 0;
  std::uint32_t life_ = 0;       // counts closings: is it the connection that it was?
  Connected secured_ = nullptr;  // whom the end of the handshake is told
  Hold hold_ = Hold::Nothing;
  bool writing_ = false;
  bool reading_ = false;
  AfterSent after_sent_ = AfterSent::Nothing;
};

}  // namespace crossfade
