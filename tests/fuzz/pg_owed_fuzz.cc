// Replies owed: whatever is sent and whatever arrives, an answer belongs to a message that was
// sent, no message ends twice, and where nothing is owed no reply is taken.
//
// An input is a conversation, a byte for each message: an upper half for the server's.
#include <set>
#include <string_view>

#include "protocols/postgres/owed.h"
#include "tests/fuzz/fuzz.h"

namespace crossfade::postgres {
namespace {

using fuzz::require;

constexpr std::string_view kClient = "QFPBDECSHcfdXQEScPBS";
constexpr std::string_view kServer = "TDCIEZ123ntsGHWdcVNSARKvZZEC";

class Watch {
 public:
  // False at the end of the conversation.
  bool pass(unsigned char byte) {
    if (byte < 128) {
      send(byte);
    } else if (!take(byte & 127u)) {
      return false;
    }
    while (const auto made = owed_.take_synthesised()) ended(made->id);
    require(owed_.size() <= last_, "no more is owed than was sent");
    return true;
  }

 private:
  void send(unsigned byte) {
    ClientMessage message{kClient[byte % kClient.size()]};
    message.subject = byte & 64 ? kStatement : kPortal;
    message.size = kHeaderSize + (byte == 127 ? 1 : 0);
    const auto mark = static_cast<Mark>(byte / kClient.size() % 4);
    const std::uint64_t id =
        byte == 126 ? owed_.sent_start_up(Mark::Forward) : owed_.sent(message, mark);
    require(id == last_ + 1, "ids rise by one");
    last_ = id;
  }

  bool take(unsigned byte) {
    ServerMessage message{kServer[byte % kServer.size()]};
    if (byte == 127) message = {'E', Transaction::Idle, Severity::Fatal};
    const bool nothing_owed = !owed_.owes() && owed_.settled();
    const Arrival arrival = owed_.arrived(message);
    const auto* const answer = std::get_if<Answer>(&arrival);
    if (answer == nullptr) return false;
    require(answer->id <= last_, "an answer is to a message that was sent");
    if (answer->belongs != Belongs::Reply) return answer->belongs == Belongs::Aside;
    require(!nothing_owed, "where nothing is owed no reply is taken");
    require(answer->mark != Mark::Synthesise, "what was not sent is not answered by the server");
    if (answer->ends && answer->id != 0) ended(answer->id);
    return true;
  }

  void ended(std::uint64_t id) { require(ended_.insert(id).second, "no message ends twice"); }

  OwedReplies owed_;
  std::uint64_t last_ = 0;
  std::set<std::uint64_t> ended_;
};

}  // namespace
}  // namespace crossfade::postgres

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crossfade::postgres::Watch watch;
  for (std::size_t i = 0; i < size && watch.pass(data[i]); ++i) {
  }
  return 0;
}
