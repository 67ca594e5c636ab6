// Reads of one transaction as messages that can be sent again on another connection, to another
// server, without leaving a trace there.
//
// Only what certainly only reads is taken, and whatever says when it is run at most begins or ends
// its transaction: after anything else the answers hang on what is not repeated, and nothing of the
// transaction is. Statements with parameters are repeated exactly: by the Parse that made them and
// the Bind that ran them, all as unnamed.
//
// Holds what it was given up to `bytes_max`. Knows nothing of servers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/postgres/result_digest.h"
#include "protocols/postgres/sql_facts.h"

namespace crossfade::postgres {

class RepeatedReads {
 public:
  explicit RepeatedReads(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // A Query was asked; `body`: of its message, whole.
  void query(std::string_view body, const SqlFacts& facts);
  // An Execute was, of a portal that a Bind has made of a statement that a Parse has made; bodies
  // of their messages, whole. A portal that is run on (PortalSuspended came before) is none that
  // can be repeated: tell lose() instead.
  //   facts   of the Parse's text
  void execute(std::string_view parse, std::string_view bind, std::uint32_t rows_max,
               const SqlFacts& facts);
  // Something was asked that is not told here, or was longer than what is kept.
  void lose();
  void clear();

  // What to send, in order; each read is one turn. Empty: nothing that could be repeated.
  std::string_view messages() const { return messages_; }
  // As strictly as each turn may be compared.
  const std::vector<How>& hows() const { return hows_; }

 private:
  enum class State : std::uint8_t { Repeatable, Lost };
  bool takes(const SqlFacts& facts);

  std::size_t bytes_max_;
  std::string messages_;
  std::vector<How> hows_;
  State state_ = State::Repeatable;
};

// How often a server says ReadyForQuery to these messages of a client; whole ones, and no COPY.
std::size_t turns_of(std::string_view messages);

}  // namespace crossfade::postgres
