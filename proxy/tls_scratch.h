// What the TLS streams of a loop share, as none of them needs it for longer than a call: a place
// for plain text, one for a record in the making, and one for what is to be sent.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "tls/engine.h"

namespace crossfade {

class TlsScratch {
 public:
  explicit TlsScratch(std::size_t read_max) : plain_size_(read_max + kTlsRecordRoom) {}

  // Room for the plain text of one read of at most read_max bytes. Made when first asked for.
  std::span<char> plain() {
    if (!plain_) plain_.reset(new char[plain_size_]);
    return {plain_.get(), plain_size_};
  }
  std::string& record() { return record_; }  // empty between calls
  std::string& wire() { return wire_; }      // likewise

 private:
  const std::size_t plain_size_;
  std::unique_ptr<char[]> plain_;
  std::string record_;
  std::string wire_;
};

}  // namespace crossfade
