// Stream under TLS: the handshake, decrypting what was read, encrypting what is flushed.
#include <cassert>
#include <utility>
#include <vector>

#include "proxy/loop.h"
#include "proxy/stream.h"

namespace crossfade {

namespace {

// Plain text that becomes a record of its own; smaller pieces are put together first.
constexpr std::size_t kRecord = 16 * 1024;
constexpr std::size_t kSealedAtOnce = 256 * 1024;  // bytes encrypted before they are sent

struct Flight {  // a part of the handshake that the socket did not take at once
  uv_write_t request;
  std::string bytes;
};

}  // namespace

bool Stream::secure(std::unique_ptr<TlsEngine> tls, Connected done, std::string_view received) {
  assert(handle_ && !tls_ && hold_ == Hold::Nothing && gathered_ == 0 && pending_.empty());
  tls_ = std::move(tls);
  tls_->take(received);
  return begin_handshake(done);
}

bool Stream::begin_handshake(Connected done) {
  read_start();
  hold_ = Hold::Handshake;
  secured_ = done;
  return go_on_with_handshake();
}

// False: it has failed. It is never done by what a client says first, nor by what it hears first.
bool Stream::go_on_with_handshake() {
  const TlsEngine::Step step = tls_->handshake(loop_.tls().wire());
  send_flight();
  if (step == TlsEngine::Step::Done) end_handshake(0);
  return step != TlsEngine::Step::Failed;
}

// After a failure the owner closes the stream, or tries another address: what was written is for
// that, too.
void Stream::end_handshake(int status) {
  const Connected done = std::exchange(secured_, nullptr);
  if (status == 0) {
    hold_ = Hold::Nothing;
    seal_early();
  } else {
    uv_read_stop(reinterpret_cast<uv_stream_t*>(handle_.get()));
    reading_ = false;
  }
  done(owner_, status);
}

// Nothing else is on its way meanwhile: what is written waits for the end of the handshake.
void Stream::send_flight() {
  std::string& wire = loop_.tls().wire();
  if (wire.empty()) return;
  auto* stream = reinterpret_cast<uv_stream_t*>(handle_.get());
  uv_buf_t buffer = uv_buf_init(wire.data(), static_cast<unsigned>(wire.size()));
  const int sent = uv_try_write(stream, &buffer, 1);
  if (sent > 0) wire.erase(0, static_cast<std::size_t>(sent));
  if (!wire.empty()) {
    auto flight = std::make_unique<Flight>();
    flight->bytes = std::exchange(wire, std::string());
    buffer = uv_buf_init(flight->bytes.data(), static_cast<unsigned>(flight->bytes.size()));
    // Whether the other end is still there is seen by reading.
    const int error = uv_write(&flight->request, stream, &buffer, 1, [](uv_write_t* request, int) {
      delete reinterpret_cast<Flight*>(request);
    });
    if (error == 0) flight.release();
  }
  wire.clear();
}

std::string Stream::tls_why() const {
  const bool words = tls_ && !tls_->why().empty();
  return "TLS: " + (words ? tls_->why() : "the connection was closed during the handshake");
}

void Stream::take_wire(std::string_view bytes) {
  const std::uint32_t life = life_;
  tls_->take(bytes);
  if (securing()) {
    if (!go_on_with_handshake()) return end_handshake(UV_EPROTO);
    if (life != life_ || securing()) return;
  }
  read_plain();
}

void Stream::read_plain() {
  const std::uint32_t life = life_;
  const std::span<char> plain = loop_.tls().plain();
  const TlsEngine::Read read = tls_->read(plain, loop_.tls().wire());
  send_sealed();
  if (read.size > 0) {
    owner_.on_bytes({plain.data(), read.size});
    if (life != life_) return;
  }
  if (read.after == TlsEngine::After::More) return;
  read_stop();
  owner_.on_end(read.after == TlsEngine::After::Closed ? UV_EOF : UV_EPROTO);
}

void Stream::flush_tls() {
  std::string& record = loop_.tls().record();
  const unsigned count = std::exchange(gathered_, 0);
  for (unsigned i = 0; i < count; ++i) {
    std::string_view view(gather_[i].base, gather_[i].len);
    while (!view.empty()) {
      if (record.empty() && (view.size() >= kRecord || count == 1)) {
        seal(view);
        break;
      }
      const std::string_view part = view.substr(0, kRecord - record.size());
      record.append(part);
      view.remove_prefix(part.size());
      if (record.size() < kRecord) break;
      seal(record);
      record.clear();
    }
  }
  seal(record);
  record.clear();
  copied_.clear();
  send_sealed();
}

// What cannot be encrypted any more is dropped: the reading side tells the owner, or has.
void Stream::seal(std::string_view plain) {
  std::string& wire = loop_.tls().wire();
  while (!plain.empty()) {
    const std::string_view part = plain.substr(0, kSealedAtOnce);
    if (!tls_->write(part, wire)) return;
    plain.remove_prefix(part.size());
    if (wire.size() >= kSealedAtOnce) send_sealed();
  }
}

// What was written before the handshake was done, in place of itself.
void Stream::seal_early() {
  const std::vector<std::string> full = std::exchange(full_, {});
  const std::string last = std::exchange(pending_, std::string());
  gauge_sub(full_bytes_ + last.size());
  full_bytes_ = 0;
  std::string& wire = loop_.tls().wire();
  const auto seal_piece = [&](const std::string& piece) {
    if (tls_->write(piece, wire)) keep(wire);
    wire.clear();
  };
  for (const std::string& piece : full) seal_piece(piece);
  if (!last.empty()) seal_piece(last);
  if (after_sent_ == AfterSent::Close) {
    tls_->close_notify(wire);
    keep(wire);
    wire.clear();
  }
  if (after_sent_ == AfterSent::Shutdown) return shutdown_when_sent();
  release();
}

// The plain text of this stream is behind it already: nothing else may be between. A connection
// that was reset, or half-closed by us, takes nothing any more: what TLS itself would say is
// dropped.
void Stream::send_sealed() {
  std::string& wire = loop_.tls().wire();
  if (wire.empty()) return;
  if (uv_is_writable(reinterpret_cast<uv_stream_t*>(handle_.get())) == 0) return wire.clear();
  std::size_t done = 0;
  if (!writing_ && pending_.empty()) {
    uv_buf_t buffer = uv_buf_init(wire.data(), static_cast<unsigned>(wire.size()));
    done = send_now(&buffer, 1);
  }
  if (done < wire.size()) keep(std::string_view(wire).substr(done));
  wire.clear();
  if (!writing_ && !pending_.empty()) start_write();
}

void Stream::close_notify() {
  if (hold_ != Hold::Nothing || !handle_) return;
  tls_->close_notify(loop_.tls().wire());
  send_sealed();
}

// Only who got everything is told that this was all, if that can be said at once.
void Stream::say_goodbye() {
  if (hold_ != Hold::Nothing || !handle_ || gathered_ != 0 || unsent() != 0) return;
  std::string& wire = loop_.tls().wire();
  tls_->close_notify(wire);
  uv_buf_t buffer = uv_buf_init(wire.data(), static_cast<unsigned>(wire.size()));
  if (!wire.empty()) {
    uv_try_write(reinterpret_cast<uv_stream_t*>(handle_.get()), &buffer, 1);
  }
  wire.clear();
}

}  // namespace crossfade
