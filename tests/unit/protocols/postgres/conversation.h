// Conversations as text, for tests of what a server owes.
//
//   >P >B >E >S <1 <2 <C <ZI      client's messages and the server's, in the order in which they
//                                 pass the sidecar
//   >DS >DP >HX                   Describe of a statement, of a portal; a Flush that is malformed
//   >P~ >P= >P+                   marked Skip, Compare, Synthesise (others: Forward)
//   <ZI <ZT <ZE <E <E!            ReadyForQuery by status; an error, a FATAL one
//   >>                            the start-up packet
//
// What comes of it is text as well: "1:1. 2:2. C:3. ZI:4." says which message each answers ('.': as
// its last); asides have '-' for it, spare answers '0', marks stand behind as above, what is to be
// synthesised is "+P:1", and what is not owed is "broken", the end.
#pragma once

#include <sstream>
#include <string>

#include "protocols/postgres/owed.h"

namespace crossfade::postgres {

inline Mark mark_of(char c) {
  if (c == '~') return Mark::Skip;
  if (c == '=') return Mark::Compare;
  return c == '+' ? Mark::Synthesise : Mark::Forward;
}

inline std::string mark_text(Mark mark) {
  switch (mark) {
    case Mark::Forward:
      return "";
    case Mark::Skip:
      return "~";
    case Mark::Compare:
      return "=";
    case Mark::Synthesise:
      return "+";
  }
  return "?";
}

// Of ">P~": 'P'; of ">DS": 'D' about 'S'.
inline ClientMessage client_message(const std::string& token) {
  ClientMessage message{token[1]};
  if (token.size() > 2 && token[1] == 'D') message.subject = token[2];
  if (token.starts_with(">HX")) message.size = kHeaderSize + 1;
  return message;
}

inline ServerMessage server_message(const std::string& token) {
  ServerMessage message{token[1]};
  if (token[1] == 'Z') message.status = static_cast<Transaction>(token[2]);
  if (token == "<E!") message.severity = Severity::Fatal;
  return message;
}

inline std::string answer_text(const std::string& type, const Answer& answer) {
  const std::string whose = answer.belongs == Belongs::Reply ? std::to_string(answer.id) : "-";
  return type + ":" + whose + mark_text(answer.mark) + (answer.ends ? "." : "");
}

class Conversation {
 public:
  // One token; what comes of it is appended to text(). False when the conversation has broken.
  bool pass(const std::string& token) {
    if (token[0] == '>') {
      send(token);
    } else {
      const Arrival arrival = owed.arrived(server_message(token));
      const auto* answer = std::get_if<Answer>(&arrival);
      say(answer != nullptr ? answer_text(token.substr(1), *answer) : "broken");
      if (answer == nullptr) return false;
    }
    while (const auto made = owed.take_synthesised()) {
      say("+" + std::string(1, made->type) + ":" + std::to_string(made->id));
    }
    return true;
  }
  const std::string& text() const { return text_; }

  OwedReplies owed;

 private:
  void send(const std::string& token) {
    if (token[1] == '>') {
      owed.sent_start_up(mark_of(token.back()));
    } else {
      owed.sent(client_message(token), mark_of(token.back()));
    }
  }
  void say(const std::string& word) { text_.append(text_.empty() ? "" : " ").append(word); }

  std::string text_;
};

inline Conversation talk(const std::string& tokens) {
  Conversation conversation;
  std::istringstream words(tokens);
  for (std::string token; words >> token;) {
    if (!conversation.pass(token)) break;
  }
  return conversation;
}

}  // namespace crossfade::postgres
