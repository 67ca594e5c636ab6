// Two arbitrary replies: judging never crashes, never depends on which side says what, and calls a
// reply the same as itself in other words. hiredis is the judge of what RESP2 replies hold.
//
// The first line of an input is the command; what is behind it is split into the two replies at a
// zero byte, or in the middle.
#include <string>

#include "movement/mismatch_samples.h"
#include "movement/reply_meaning.h"
#include "movement/reply_value.h"
#include "protocols/redis/reply.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/judge.h"

namespace crossfade {
namespace {

using fuzz::require;

struct Freed {
  void operator()(redisReader* reader) const { redisReaderFree(reader); }
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};

// hiredis makes a number of whatever stands there; we keep the text.
bool is_plain_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const bool digits = text.find_first_not_of("0123456789") == text.npos;
  return digits && !text.empty() && (text[0] != '0' || text == "0");
}

bool equal(const ReplyValue& ours, const redisReply& theirs) {
  using Type = ReplyValue::Type;
  const auto text = [&] { return std::string_view(theirs.str, theirs.len); };
  switch (theirs.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      return ours.type == Type::Text && ours.text == text();
    case REDIS_REPLY_ERROR:
      return ours.type == Type::Error && ours.text == text();
    case REDIS_REPLY_INTEGER:
      return ours.type == Type::Number &&
             (ours.text == std::to_string(theirs.integer) || !is_plain_number(ours.text));
    case REDIS_REPLY_ARRAY:
      if (ours.type != Type::List || ours.elements.size() != theirs.elements) return false;
      for (std::size_t i = 0; i < theirs.elements; ++i) {
        if (!equal(ours.elements[i], *theirs.element[i])) return false;
      }
      return true;
    default:
      return ours.type == Type::Null;
  }
}

void compare_with_hiredis(std::string_view bytes, const ReplyValue& ours) {
  if (fuzz::has_long_number(bytes)) return;
  // It believes any count of elements, and asks for their memory.
  if (bytes.find("*1000") != bytes.npos) return;
  const std::unique_ptr<redisReader, Freed> reader(redisReaderCreate());
  redisReaderFeed(reader.get(), bytes.data(), bytes.size());
  void* object = nullptr;
  if (redisReaderGetReply(reader.get(), &object) != REDIS_OK || object == nullptr) return;
  const std::unique_ptr<redisReply, Freed> theirs(static_cast<redisReply*>(object));
  require(equal(ours, *theirs), "what hiredis reads, too, is read alike");
}

void check_one(std::string_view command, const std::string& reply) {
  require(judge(command, reply, reply) == Meaning::Same, "a reply is the same as itself");
  redacted(reply, 1);
  const auto value = read_reply(reply);
  redis::ReplyScanner scanner;
  const auto step = scanner.advance(reply);
  const bool whole = step.state == redis::ReplyScanner::State::Complete;
  if (value) {
    require(whole && step.consumed == reply.size(), "only whole replies are read");
    require(judge(command, reply, "|0\r\n" + reply) == Meaning::Same,
            "an attribute changes no meaning");
    compare_with_hiredis(reply, *value);
  }
}

}  // namespace
}  // namespace crossfade

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace crossfade;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(input.find('\n'), input.size());
  const std::string command(input.substr(0, line));
  input.remove_prefix(std::min(line + 1, input.size()));
  const std::size_t zero = input.find('\0');
  const std::size_t middle = zero == input.npos ? input.size() / 2 : zero;
  // Memory of their own: reading beyond it is seen.
  const std::string one(input.substr(0, middle));
  const std::string other(input.substr(zero == input.npos ? middle : middle + 1));
  fuzz::require(judge(command, one, other) == judge(command, other, one),
                "it is the same whoever says which");
  check_one(command, one);
  check_one(command, other);
  hangs_on_chance(command, true);
  return 0;
}
