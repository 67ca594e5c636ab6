// Pub/sub frames: which they are, and how many subscriptions are left.
#include <doctest/doctest.h>

#include "protocols/redis/reply.h"
#include "tests/unit/protocols/redis/bytes.h"

namespace crossfade::redis {
namespace {

std::string frame(char type, const std::string& elements, std::size_t count) {
  std::string bytes(1, type);
  return bytes.append(std::to_string(count)).append("\r\n").append(elements);
}

struct Word {
  const char* text;
  PushKind kind;
  PushSpace space;
};
const std::vector<Word> kAnswers{
    {"subscribe", PushKind::Subscribed, PushSpace::Channels},
    {"psubscribe", PushKind::Subscribed, PushSpace::Patterns},
    {"ssubscribe", PushKind::Subscribed, PushSpace::Shards},
    {"unsubscribe", PushKind::Unsubscribed, PushSpace::Channels},
    {"punsubscribe", PushKind::Unsubscribed, PushSpace::Patterns},
    {"sunsubscribe", PushKind::Unsubscribed, PushSpace::Shards},
};

TEST_CASE("push: answers to (un)subscribe carry the count that is left") {
  for (const char type : {'*', '>'}) {
    for (const Word& word : kAnswers) {
      for (const std::string& channel :
           {bulk("news"), bulk(""), std::string("$-1\r\n"), std::string("_\r\n")}) {
        for (const std::int64_t left : {0, 1, 12'345}) {
          const std::string count = ":" + std::to_string(left) + "\r\n";
          const std::string bytes = frame(type, bulk(word.text) + channel + count, 3);
          const Push push = classify_push(bytes + "+next\r\n");
          CHECK(push.kind == word.kind);
          CHECK(push.space == word.space);
          CHECK(push.count == left);
          for (std::size_t size = 0; size < bytes.size(); ++size) {
            CHECK(classify_push(std::string_view(bytes).substr(0, size)).kind ==
                  PushKind::NeedMore);
          }
        }
      }
    }
  }
}

TEST_CASE("push: messages are known by their first word, before they are whole") {
  for (const char type : {'*', '>'}) {
    CHECK(classify_push(frame(type, bulk("message") + "$3\r\nne", 3)).kind == PushKind::Message);
    CHECK(classify_push(frame(type, bulk("smessage") + bulk("c"), 3)).kind == PushKind::Message);
    CHECK(classify_push(frame(type, bulk("pmessage"), 4)).kind == PushKind::Message);
    CHECK(classify_push(frame(type, "$7\r\nmessa", 3)).kind == PushKind::NeedMore);
  }
}

TEST_CASE("push: an ordinary array is no push, whatever its words") {
  for (const std::string& bytes :
       {std::string("*0\r\n"), std::string("*-1\r\n"), resp({"message", "a"}), resp({"message"}),
        resp({"message", "a", "b", "c"}), resp({"pmessage", "a", "b"}),
        resp({"subscribe", "a", "b"}), resp({"Message", "a", "b"}), resp({"massage", "a", "b"}),
        frame('*', ":1\r\n:2\r\n:3\r\n", 3), frame('*', "+message\r\n+a\r\n+b\r\n", 3),
        frame('*', bulk("subscribe") + ":1\r\n:1\r\n", 3), resp({"pong", ""}),
        std::string("+OK\r\n"), std::string("$3\r\nfoo\r\n"), std::string("%1\r\n")}) {
    CHECK_MESSAGE(classify_push(bytes).kind == PushKind::NotPush, bytes);
  }
  CHECK(classify_push("").kind == PushKind::NeedMore);
  CHECK(classify_push("*").kind == PushKind::NeedMore);
}

TEST_CASE("push: a frame that begins with '>' is at least a message") {
  for (const std::string& bytes :
       {frame('>', bulk("invalidate") + "*1\r\n" + bulk("key"), 2),
        frame('>', bulk("invalidate") + "_\r\n", 2), frame('>', "+server-cpu-usage\r\n:42\r\n", 2),
        frame('>', bulk("subscribe") + bulk("a"), 2),
        frame('>', bulk("monitor") + bulk("a") + bulk("b"), 3), std::string(">0\r\n"),
        frame('>', bulk("subscribe") + ":1\r\n:1\r\n", 3)}) {
    CHECK_MESSAGE(classify_push(bytes).kind == PushKind::Message, bytes);
  }
}

TEST_CASE("push: lengths beyond what is there ask for more and read nothing") {
  CHECK(classify_push("*3\r\n$9\r\nsubscribe\r\n$9223372036854775807\r\nx").kind ==
        PushKind::NeedMore);
  CHECK(classify_push("*3\r\n$9223372036854775807\r\nx").kind == PushKind::NotPush);
  CHECK(classify_push("*99999999999999999999\r\n").kind == PushKind::NotPush);
}

}  // namespace
}  // namespace crossfade::redis
