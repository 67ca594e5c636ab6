// Replies: good bytes, prefixes, limits, split points.
#include "protocols/redis/reply.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace crossfade::redis {
namespace {

using State = ReplyScanner::State;

std::string bulk(std::size_t size, char type = '$') {
  std::string bytes(1, type);
  return bytes.append(std::to_string(size)).append("\r\n").append(size, 'x').append("\r\n");
}

std::string nested(std::size_t depth) {
  std::string bytes;
  for (std::size_t i = 0; i < depth; ++i) bytes += "*1\r\n";
  return bytes + ":1\r\n";
}

const std::vector<std::string> kReplies{
    "+OK\r\n",
    "+\r\n",
    "+with\rcarriage\nreturns\r\r\n",
    "-ERR a long error message that is longer than any fast path looks at once\r\n",
    ":1000\r\n",
    ":-1\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "$0\r\n\r\n",
    bulk(3),
    bulk(70'000),
    "*0\r\n",
    "*2\r\n$3\r\nfoo\r\n$-1\r\n",
    "*3\r\n*0\r\n*2\r\n:1\r\n*1\r\n+a\r\n$1\r\nx\r\n",
    nested(50),
    "_\r\n",
    "#t\r\n",
    ",3.14\r\n",
    ",inf\r\n",
    "(3492890328409238509324850943850943825024385\r\n",
    bulk(21, '!'),
    bulk(15, '='),
    "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n",
    "%0\r\n",
    "~3\r\n+a\r\n:1\r\n#f\r\n",
    ">3\r\n+message\r\n+channel\r\n$2\r\nhi\r\n",
    "|1\r\n+ttl\r\n:3600\r\n+OK\r\n",
    "|0\r\n+OK\r\n",
    "|1\r\n+a\r\n*1\r\n:1\r\n|1\r\n+b\r\n:2\r\n*2\r\n+x\r\n|1\r\n+c\r\n_\r\n+y\r\n",
};

const std::string kStream = [] {
  std::string bytes;
  for (const std::string& reply : kReplies) bytes += reply;
  return bytes;
}();

// Sizes of the replies in `bytes`, handed over at the given sizes (the last one repeats).
std::vector<std::size_t> scan_all(std::string_view bytes, const std::vector<std::size_t>& pieces) {
  std::vector<std::size_t> sizes;
  ReplyScanner scanner;
  std::size_t size = 0, piece = 0;
  while (!bytes.empty()) {
    const std::size_t take = std::min(pieces[std::min(piece++, pieces.size() - 1)], bytes.size());
    const std::vector<char> arrived(bytes.begin(),
                                    bytes.begin() + static_cast<std::ptrdiff_t>(take));
    std::string_view left(arrived.data(), arrived.size());
    while (!left.empty()) {
      const ReplyScanner::Step step = scanner.advance(left);
      REQUIRE(step.state != State::Broken);
      if (step.state == State::NeedMore) CHECK(step.consumed == left.size());
      CHECK(scanner.at_boundary() == (step.state == State::Complete));
      size += step.consumed;
      left.remove_prefix(step.consumed);
      if (step.state != State::Complete) continue;
      sizes.push_back(size);
      size = 0;
    }
    bytes.remove_prefix(take);
  }
  if (size > 0) sizes.push_back(0);
  return sizes;
}

std::vector<std::size_t> expected_sizes() {
  std::vector<std::size_t> sizes;
  for (const std::string& reply : kReplies) sizes.push_back(reply.size());
  return sizes;
}

bool is_broken(std::string_view bytes) {
  return ReplyScanner().advance(bytes).state == State::Broken;
}

TEST_CASE("reply: every form ends where it ends, and its type is known") {
  ReplyScanner scanner;
  for (const std::string& reply : kReplies) {
    const ReplyScanner::Step step = scanner.advance(reply + "+next\r\n");
    CHECK_MESSAGE(step.state == State::Complete, reply);
    CHECK_MESSAGE(step.consumed == reply.size(), reply);
    if (reply[0] != '|') CHECK(scanner.type() == reply[0]);
  }
}

TEST_CASE("reply: attributes belong to the reply they precede, whose type counts") {
  ReplyScanner scanner;
  CHECK(scanner.advance("|1\r\n+ttl\r\n:3600\r\n").state == State::NeedMore);
  CHECK(scanner.type() == 0);
  CHECK(scanner.advance("$2\r\nhi\r\n").state == State::Complete);
  CHECK(scanner.type() == '$');
}

TEST_CASE("reply: it is null when it is, not when an element of it is") {
  for (const std::string& reply : kReplies) {
    const bool null = reply == "$-1\r\n" || reply == "*-1\r\n" || reply == "_\r\n";
    ReplyScanner whole;
    CHECK(whole.advance(reply).state == State::Complete);
    CHECK_MESSAGE(whole.null() == null, reply);
    ReplyScanner pieces;
    CHECK(pieces.advance("_\r\n").state == State::Complete);
    for (const char byte : reply) (void)pieces.advance({&byte, 1});
    CHECK_MESSAGE(pieces.null() == null, reply);
  }
}

TEST_CASE("reply: every prefix asks for more and takes all of it") {
  for (const std::string& reply : kReplies) {
    for (std::size_t size = 0; size < reply.size(); size += size < 500 ? 1 : 499) {
      ReplyScanner scanner;
      const ReplyScanner::Step step = scanner.advance(std::string_view(reply).substr(0, size));
      REQUIRE(step.state == State::NeedMore);
      CHECK(step.consumed == size);
      CHECK(scanner.at_boundary() == (size == 0));
    }
  }
}

TEST_CASE("reply: the split point never changes the replies") {
  const std::vector<std::size_t> expected = expected_sizes();
  CHECK(scan_all(kStream, {kStream.size()}) == expected);
  for (const std::size_t piece : {1u, 2u, 3u, 5u, 33u, 1000u})
    CHECK(scan_all(kStream, {piece}) == expected);
  const std::size_t dense = kStream.size() - 70'000;  // the long bulk's inside is all alike
  for (std::size_t first = 1; first < dense; first += 3) {
    CHECK(scan_all(kStream, {first, kStream.size()}) == expected);
  }
}

TEST_CASE("reply: what no server sends is broken, whole or byte by byte") {
  for (const char* bytes : {"PING\r\n",
                            "\r\n",
                            "$?\r\n",
                            "*?\r\n",
                            ".\r\n",
                            "$a\r\n",
                            "$+1\r\n",
                            "$01\r\n",
                            "$-2\r\n",
                            "*-2\r\n",
                            "$-0\r\n",
                            "$--1\r\n",
                            "$1\rx",
                            "*1\rx",
                            "*1x",
                            "$99999999999999999999\r\n",
                            "@1\r\n",
                            "*1\r\nx",
                            "%-3\r\n",
                            "$-\r\n",
                            "$\r\n",
                            "*2305843009213693952\r\n",
                            "~112345678901234567889\r\n"}) {
    CHECK_MESSAGE(is_broken(bytes), bytes);
    ReplyScanner scanner;
    State state = State::NeedMore;
    for (const char* at = bytes; *at != 0 && state == State::NeedMore; ++at) {
      state = scanner.advance({at, 1}).state;
    }
    CHECK_MESSAGE(state == State::Broken, bytes);
  }
}

TEST_CASE("reply: limits hold at the limit and break one beyond it") {
  CHECK_FALSE(is_broken("$1152921504606846976\r\n"));
  CHECK(is_broken("$1152921504606846977\r\n"));
  CHECK_FALSE(is_broken("*1152921504606846976\r\n"));
  CHECK(is_broken("*1152921504606846977\r\n"));
  CHECK(is_broken("%1152921504606846976\r\n"));
  CHECK(is_broken("*1152921504606846976\r\n*2\r\n"));
}

TEST_CASE("reply: nesting of any depth takes no memory and no recursion") {
  constexpr std::size_t kDepth = 1'000'000;
  const std::string bytes = nested(kDepth);
  ReplyScanner scanner;
  const ReplyScanner::Step step = scanner.advance(bytes);
  CHECK(step.state == State::Complete);
  CHECK(step.consumed == bytes.size());
}

TEST_CASE("reply: after a reset nothing is remembered") {
  ReplyScanner scanner;
  (void)scanner.advance("*3\r\n$5\r\nab");
  scanner.reset();
  CHECK(scanner.at_boundary());
  CHECK(scanner.type() == 0);
  CHECK(scanner.advance("+OK\r\n").state == State::Complete);
}

}  // namespace
}  // namespace crossfade::redis
