// What one server still owes: told every message that is sent to it and every message that comes
// back, it says which of the former each of the latter answers, and so what is to be done with it.
//
// 1. Messages are answered in the order in which they were sent, each in the forms of its type.
// 2. An error in a message of the extended protocol discards everything up to the next Sync, a
//    Query and a FunctionCall, too; one in a Query, a FunctionCall, or a Sync ends with
//    ReadyForQuery.
// 3. Inside COPY IN, Sync and Flush are not answered. Once COPY IN has ended, or failed, the rest
//    of the client's CopyData, CopyDone and CopyFail is dropped by the server without a word.
// 4. Notices, settings and notifications come at any moment and answer nothing.
// 5. A FATAL error comes at any moment, and is the last message.
// 6. Whether a Sync among CopyData was read before or after the error that ended the COPY, nobody
//    but the server knows. It then owes perhaps (settled() is false) a ReadyForQuery more than can
//    be counted on; the next other reply tells. Until then nothing is to be put into the stream or
//    synthesised, and which of several Syncs is answered may be told wrong.
//
// Holds no bytes. Knows nothing of sockets, of sides, or of what messages say.
// Source: PostgreSQL documentation, "Message Flow"; PostgresMain(), CopyGetData() of PostgreSQL 15.
// Servers before 14 survive a message inside COPY IN that does not belong there; of them this queue
// would expect an answer to it.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <optional>
#include <variant>

#include "protocols/postgres/message.h"
#include "protocols/postgres/ring.h"
#include "protocols/postgres/types.h"

namespace crossfade::postgres {

inline constexpr std::size_t kOwedMax = 1u << 20;  // messages: while !room(), read no more of them

// What is done with the replies to a message.
enum class Mark : std::uint8_t {
  Forward,     // the client gets them
  Skip,        // they end here: the message was the sidecar's own
  Compare,     // they end here, after a look at them: the other side's are the client's
  Synthesise,  // there are none: the message was not sent, and is answered in its turn by us
};

struct ClientMessage {
  char type;                       // from_client::…
  char subject = kPortal;          // of Describe: kStatement, kPortal, or what it says
  std::size_t size = kHeaderSize;  // type byte, length word, body
};

enum class Severity : std::uint8_t { Ordinary, Fatal };
struct ServerMessage {
  char type;                               // from_server::…
  Transaction status = Transaction::Idle;  // of ReadyForQuery
  Severity severity = Severity::Ordinary;  // of ErrorResponse
};

// What the queue is told of a message, from its first piece. Nothing: no server sends this.
inline ClientMessage client_message_of(const Piece& first) {
  const bool empty = first.bytes.size() <= kHeaderSize;
  return {first.type, empty ? '\0' : first.bytes[kHeaderSize], first.size};
}
std::optional<ServerMessage> server_message_of(const Piece& first);

enum class Belongs : std::uint8_t {
  Reply,      // to the message `id`; with `ends`, its last
  Aside,      // to nothing; `mark` is that of the message which is being worked on
  LastWords,  // a FATAL error: nothing is owed any more, the server closes
};
struct Answer {
  Belongs belongs;
  Mark mark;
  std::uint64_t id;  // as sent() returned it; 0: none. Messages with a lower one are settled
  bool ends;         // nothing else comes for `id`
};
using Arrival = std::variant<Answer, Broken>;

struct Synthesised {
  std::uint64_t id;
  char type;  // of the client's message that is now to be answered
};

enum class CopyMode : std::uint8_t { None, In, Out, Both };

class OwedReplies {
 public:
  // A message goes to the server; or, marked Synthesise, is answered as if it had (a Sync only when
  // all of its segment is, as it leads the server out of no error). Returns its id; they rise by 1.
  // Messages that are never answered (Flush, CopyData, Terminate, passwords) are told all the same,
  // and take no room; so is each message once, however many pieces it has.
  //   cost   O(1) amortised
  std::uint64_t sent(const ClientMessage& message, Mark mark) {
    if (active_ || skipping_ != Skipping::No || over_) return sent_amid(message, mark);
    return push(form_of(message), mark);
  }
  std::uint64_t last_id() const { return last_id_; }
  // The start-up packet: owes everything up to the first ReadyForQuery.
  std::uint64_t sent_start_up(Mark mark);

  // A message has come (its header is enough, but for ReadyForQuery and ErrorResponse). Many rows,
  // or data of COPY, in a row may be told as one.
  //   Broken   it is not owed; whose reply is whose can no longer be told, close the connection
  //   cost     O(1), or O(messages that an error discards)
  Arrival arrived(const ServerMessage& message);
  // As arrived(), for a reply that ends a message marked Forward, as most replies do: its id. 0: it
  // is none of these, or none that is owed, and nothing has happened: ask arrived().
  std::uint64_t arrived_at_end(char type) {
    if (active_) return ends_rows(type) ? end(active_->message).id : 0;
    if (in_doubt() || waiting_.empty()) return 0;
    const Waiting& next = waiting_.front();
    if (next.mark != Mark::Forward || !next.form.ends_with(type)) return 0;
    return end_next().id;
  }

  // After each sent() and arrived(), until there is none: the answer that is now to be made.
  std::optional<Synthesised> take_synthesised();

  bool owes() const { return active_.has_value() || !waiting_.empty(); }
  // Something is to come that ends here, and must not be taken for an answer to the client.
  bool owes_ours() const { return !over_ && ours_through_ > answered_id_; }
  bool settled() const { return spare_ == 0; }
  bool room() const { return waiting_.size() < kOwedMax; }
  std::size_t size() const { return waiting_.size() + (active_ ? 1 : 0); }
  // The server has failed a message and reads on only from the next Sync, which was not sent yet.
  bool awaits_sync() const { return skipping_ != Skipping::No; }
  // What the server was doing when its last message was sent; In until the client's end of it.
  CopyMode copying() const;
  // As the last ReadyForQuery said.
  Transaction transaction() const { return transaction_; }

 private:
  enum class Owing : std::uint8_t {
    Nothing,
    StartUp,
    Query,
    FunctionCall,
    Parse,
    Bind,
    DescribeStatement,
    DescribePortal,
    Execute,
    Close,
    Sync,
    CopyEnd,   // CopyDone, CopyFail: never answered, but what ends COPY IN
    OnlyError  // what the server cannot but refuse
  };
  enum class Stage : std::uint8_t {
    Waiting,     // nothing has come yet
    Running,     // something has, and more may
    CopyIn,      // the server reads data
    CopyInOver,  // and has been told that there is no more
    CopyOut,
    CopyBoth,
    CopyBothOver,  // the server has said CopyDone; a keepalive may follow it all the same
    Failed         // only ReadyForQuery can come
  };
  enum class Step : std::uint8_t { Goes, Ends, Wrong };
  // In doubt: to a Sync, but perhaps to one that COPY IN has eaten in this queue. Over: the client
  // had fed or ended that COPY behind it before the error came.
  enum class Skipping : std::uint8_t { No, ToSync, InDoubt, InDoubtOver };
  // What a message is owed.
  struct Form {
    Owing owing = Owing::Nothing;
    char type = 0;                       // of the message
    std::array<char, 2> only_replies{};  // types of replies that begin and end it, as far as listed
    bool ends_with(char reply) const {
      return reply == only_replies[0] || (reply == only_replies[1] && reply != '\0');
    }
  };
  struct Waiting {
    std::uint64_t id = 0;
    Form form = {};
    Mark mark = Mark::Forward;
    std::array<char, 3> padding{};  // a size that is copied at once
  };
  struct Active {
    Waiting message;
    Stage stage = Stage::Waiting;
    std::uint32_t eaten = 0;  // Syncs that its COPY IN has taken, or perhaps not
    bool fed = false;         // it was sent data behind these
  };

  static const std::array<Form, 256> kForms;  // by type
  static Form form_of_flush(const ClientMessage& flush);
  static Form form_of_describe(const ClientMessage& describe);
  static Form form_of(const ClientMessage& message) {
    if (message.type == from_client::kFlush) return form_of_flush(message);
    const bool other = message.type == from_client::kDescribe && message.subject != kPortal;
    return other ? form_of_describe(message) : kForms[static_cast<unsigned char>(message.type)];
  }
  static bool is_extended(Owing owing);
  static bool ends_skipping(const Waiting& message);
  static Step step(Active& active, char type);
  static Step step_result(Active& active, char type);
  std::uint64_t sent_amid(const ClientMessage& message, Mark mark);
  std::uint64_t push(Form form, Mark mark) {
    const std::uint64_t id = ++last_id_;
    const bool ends_nothing = form.owing == Owing::CopyEnd && !owes();
    if (form.owing == Owing::Nothing || ends_nothing) return id;
    if (mark == Mark::Skip) ours_through_ = id;
    waiting_.push({id, form, mark});
    return id;
  }
  // The rows of an Execute are followed by what completes it.
  bool ends_rows(char type) const {
    return type == from_server::kCommandComplete && active_->stage == Stage::Running &&
           active_->message.form.owing == Owing::Execute && active_->message.mark == Mark::Forward;
  }
  void activate();
  void absorb();
  // Outside of COPY IN nothing answers its end.
  void prune() {
    while (!active_ && !waiting_.empty() && waiting_.front().form.owing == Owing::CopyEnd) {
      waiting_.pop();
    }
  }
  Arrival fail();
  Arrival fail_in_doubt();
  void drop_to_sync();
  bool settle_doubt();
  bool in_doubt() const {
    return skipping_ == Skipping::InDoubt || skipping_ == Skipping::InDoubtOver;
  }
  Arrival ready(Transaction status);
  Arrival aside(char type) const;
  Arrival last_words();
  Answer end(const Waiting& message) {
    const Answer answer{Belongs::Reply, message.mark, message.id, true};
    answered_id_ = message.id;
    active_.reset();
    prune();
    return answer;
  }
  // The message that is next is begun and ended by one reply.
  Answer end_next() {
    const Waiting message = waiting_.front();
    assert(message.mark != Mark::Synthesise);
    waiting_.pop();
    spare_ = 0;
    return end(message);
  }
  Answer spare(bool ends);

  Ring<Waiting> waiting_;         // sent, and not answered at all yet
  std::optional<Active> active_;  // being answered
  std::uint64_t last_id_ = 0;
  std::uint32_t spare_ = 0;  // ReadyForQuery that may come or not
  Mark spare_mark_ = Mark::Forward;
  std::uint64_t spare_id_ = 0;      // of the last Sync that COPY IN has eaten
  std::uint64_t answered_id_ = 0;   // the last that is answered
  std::uint64_t ours_through_ = 0;  // the last that is marked Skip
  Skipping skipping_ = Skipping::No;
  Transaction transaction_ = Transaction::Idle;
  bool over_ = false;
};

}  // namespace crossfade::postgres
