// Errors as values, sorted by what the caller can do about them.
//
// No exception crosses a function of ours. `doing` says what was attempted ("connect
// 127.0.0.1:6379"), `reason` why it did not work ("ECONNREFUSED"). Neither ever holds a secret.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace crossfade {

enum class Errc {
  BadInput,     // the caller sent something malformed: tell it, do not retry
  BadConfig,    // a definition is wrong: tell the operator where
  NotFound,     // the named thing does not exist
  Conflict,     // it exists already, is in use, or is in a state that forbids this
  PeerClosed,   // the other end went away: reconnect
  Timeout,      // the other end did not answer in time: retry later
  Overloaded,   // a named limit was reached: back off
  Unavailable,  // something needed cannot be reached: nothing was changed
  System        // the operating system refused: look at `reason`
};

struct [[nodiscard]] Error {
  Errc code = Errc::System;
  std::string doing;
  std::string reason;

  std::string message() const { return doing.empty() ? reason : doing + ": " + reason; }
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return held_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & {
    assert(ok());
    return std::get<0>(held_);
  }
  const T& value() const& {
    assert(ok());
    return std::get<0>(held_);
  }
  T&& value() && {
    assert(ok());
    return std::get<0>(std::move(held_));
  }
  T& operator*() { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const {
    assert(!ok());
    return std::get<1>(held_);
  }

 private:
  std::variant<T, Error> held_;
};

struct Unit {};
using Status = Result<Unit>;
inline Status success() { return Unit{}; }

}  // namespace crossfade
