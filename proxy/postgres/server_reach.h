// Reaches a server as its endpoint says: connects, asks whether it speaks TLS, and shakes hands.
//
// Until that is done the stream is this object's: its owner hands on what it hears of it. Then the
// start-up packet may be sent, and nothing was said in plain text that was not to be.
//
//   Connecting   addresses are tried, one after another: also when what follows fails at one
//   Asked        an SSLRequest was sent, one byte is awaited
//   Securing     TLS has begun
//
// Knows nothing of sessions. Time limits are the owner's to keep.
//   source   PostgreSQL documentation, "SSL Session Encryption"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/connector.h"
#include "proxy/stream.h"
#include "strategies/table.h"

namespace crossfade::postgres {

// Who begins with TLS right away says what it is going to speak.
inline constexpr const char* kAlpn = "postgresql";

class ServerReach;

class ReachOwner : public StreamOwner {
 public:
  virtual ServerReach& reach() = 0;
  // Called once, after start(). `why`: null, the server is reached; else why not, for people. Never
  // within another call of the reach.
  virtual void on_reached(const char* why) = 0;

 protected:
  ~ReachOwner() = default;
};

class ServerReach {
 public:
  // Whether to ask where the endpoint's mode does not: for a server that is to hear a client ask
  // twice. One that would grant it is left then.
  enum class Ask : std::uint8_t { AsConfigured, Always };

  ServerReach(Loop& loop, crossfade::Stream& stream, ReachOwner& owner)
      : stream_(stream), owner_(owner), connector_(loop, stream, owner) {}

  // `to` outlives the attempt. False: the system refuses at once, and nothing is called.
  bool start(const EndpointAddress& to, Ask ask = Ask::AsConfigured);
  // To one address that is known already.
  bool start(const EndpointAddress& to, const sockaddr_storage& at);
  void stop();
  // Leaves an address that takes too long for the next one; on_reached() follows as before. False:
  // there is none.
  bool next_address();

  bool done() const { return state_ == State::Done; }
  // It was asked for TLS and has not answered. The answer is the first word of the process that a
  // server starts for a session: where many want one, it is late, and yet it comes.
  bool asked() const { return state_ == State::Asked; }
  const sockaddr_storage& peer() const { return connector_.peer(); }
  // Whether the server has proved to be the one that is meant, or sits on this machine.
  bool trusted() const;

  // What the stream tells its owner, while not done().
  void on_bytes(std::string_view bytes);
  void on_end(int status);

 private:
  enum class State : std::uint8_t { Idle, Connecting, Asked, Securing, Done };
  static void connected(StreamOwner& owner, int status);
  static void secured(StreamOwner& owner, int status);
  bool asks() const;
  void on_connected();
  void secure();
  void end();
  void fail(std::string why);

  crossfade::Stream& stream_;
  ReachOwner& owner_;
  Connector connector_;
  const EndpointAddress* to_ = nullptr;
  State state_ = State::Idle;
  Ask ask_ = Ask::AsConfigured;
};

}  // namespace crossfade::postgres
