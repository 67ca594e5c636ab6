// Requests: good bytes, prefixes, limits, split points; and the tail of a streamed request.
#include "protocols/redis/request.h"

#include <doctest/doctest.h>

#include "tests/unit/protocols/redis/bytes.h"

namespace crossfade::redis {
namespace {

using Requests = std::vector<Words>;

Cut cut_once(std::string_view bytes) { return RequestCutter().advance(bytes); }
bool is_broken(std::string_view bytes) { return std::holds_alternative<Broken>(cut_once(bytes)); }
bool needs_more(std::string_view bytes) {
  return std::holds_alternative<NeedMore>(cut_once(bytes));
}

const std::string kStream = resp({"SET", "key", std::string(100, 'v')}) + "*0\r\n" +
                            resp({"GET", "key"}) + "PING\r\n" + "\r\n" + resp({""}) +
                            "  set \"a b\" 'c d' e\\x41\n" + "*-1\r\n" +
                            resp({"ECHO", "\r\n$5\r\n"}) + std::string("*1\r\n$4\r\nP\0NG\r\n", 14);

TEST_CASE("request: good bytes become their arguments, in order") {
  const Cutting cutting = cut_all(kStream);
  CHECK(cutting.requests == Requests{{"SET", "key", std::string(100, 'v')},
                                     {},
                                     {"GET", "key"},
                                     {"PING"},
                                     {},
                                     {""},
                                     {"set", "a b", "c d", "e\\x41"},
                                     {},
                                     {"ECHO", "\r\n$5\r\n"},
                                     {std::string("P\0NG", 4)}});
  CHECK_FALSE(cutting.broken);
  CHECK(cutting.rest == 0);
}

TEST_CASE("request: every prefix of a message asks for more") {
  for (const std::string& message : {resp({"SET", "key", "value"}), std::string("PING\r\n"),
                                     std::string("*0\r\n"), std::string("set \"a\\\" b\" c\n"),
                                     resp({std::string(70'000, 'x')}), resp(Words(300, "a"))}) {
    for (std::size_t size = 0; size < message.size(); size += size < 2'000 ? 1 : 997) {
      REQUIRE(needs_more(std::string_view(message).substr(0, size)));
    }
    CHECK(std::get<Request>(cut_once(message)).size == message.size());
    CHECK(std::get<Request>(cut_once(message + message)).size == message.size());
  }
}

TEST_CASE("request: the split point never changes the messages") {
  const Cutting whole = cut_all(kStream);
  for (std::size_t first = 1; first < kStream.size(); ++first) {
    CHECK(cut_all(kStream, {first, kStream.size()}) == whole);
  }
  for (const std::size_t piece : {1u, 2u, 3u, 7u, 64u}) CHECK(cut_all(kStream, {piece}) == whole);
}

TEST_CASE("request: what is asked for is never more than what is missing") {
  for (std::size_t size = 0; size < kStream.size(); ++size) {
    RequestCutter cutter;
    std::string_view left(kStream);
    while (true) {
      const std::string_view arrived = left.substr(0, size);
      const Cut cut = cutter.advance(arrived);
      if (const auto* more = std::get_if<NeedMore>(&cut)) {
        CHECK(more->at_least > 0);
        if (arrived.size() < left.size()) CHECK(more->at_least <= left.size() - arrived.size());
        break;
      }
      left.remove_prefix(std::get<Request>(cut).size);
      cutter.reset();
    }
  }
}

TEST_CASE("request: a count is a number of the server's own strict sort") {
  for (const char* header :
       {"*\r\n", "*+1\r\n", "*01\r\n", "*-0\r\n", "*1 \r\n", "* 1\r\n", "*a\r\n", "*1a\r\n",
        "*--1\r\n", "*99999999999999999999\r\n", "*-\r\n"}) {
    CHECK_MESSAGE(is_broken(header), header);
  }
  for (const char* header : {"$\r\n", "$-1\r\n", "$+1\r\n", "$01\r\n", "$ 1\r\n", "$1x\r\n",
                             ":1\r\n", "PING\r\n", "*1\r\n", "$99999999999999999999\r\n"}) {
    CHECK_MESSAGE(is_broken(std::string("*1\r\n") + header), header);
  }
}

TEST_CASE("request: a count below zero is an empty message") {
  for (const char* message :
       {"*0\r\n", "*-1\r\n", "*-2147483649\r\n", "*-9223372036854775808\r\n"}) {
    CHECK(std::get<Request>(cut_once(message)).size == std::string_view(message).size());
  }
  CHECK(is_broken("*-9223372036854775809\r\n"));
}

TEST_CASE("request: limits hold at the limit and break one beyond it") {
  CHECK(needs_more("*" + std::to_string(kArgsMax) + "\r\n"));
  CHECK(is_broken("*" + std::to_string(kArgsMax + 1) + "\r\n"));
  CHECK(needs_more("*1\r\n$" + std::to_string(kBulkMax) + "\r\n"));
  CHECK(is_broken("*1\r\n$" + std::to_string(kBulkMax + 1) + "\r\n"));
  CHECK(needs_more(std::string(kInlineMax, 'x')));
  CHECK(is_broken(std::string(kInlineMax + 1, 'x')));
  CHECK(std::get<Request>(cut_once(std::string(kInlineMax, 'x') + "\n")).size == kInlineMax + 1);
  CHECK(is_broken(std::string(kInlineMax + 1, 'x') + "\n"));
}

TEST_CASE("request: bytes behind a header's '\\r' and behind a bulk are skipped unseen") {
  CHECK(cut_all("*1\r#$4\r#PING##*1\r\n$1\r\nx\r\n").requests == Requests{{"PING"}, {"x"}});
}

TEST_CASE("request: an inline line ends at '\\n' and cannot hold a NUL byte") {
  CHECK(cut_all("PING\nPING\r\n\r\n\n \t\nx\r y\n").requests ==
        Requests{{"PING"}, {"PING"}, {}, {}, {}, {"x", "y"}});
  CHECK(is_broken(std::string_view("PI\0NG\r\n", 7)));
  CHECK(is_broken(std::string_view("PI\0", 3)));
  CHECK(is_broken("set \"a\r\n"));
  CHECK(is_broken("set 'a\r\n"));
  CHECK(is_broken("set \"a\"b\r\n"));
}

TEST_CASE("request: the progress of an incomplete message is told") {
  const std::string message = resp({"SET", "key", std::string(1'000, 'v')});
  const std::size_t body = message.size() - 1'002;
  RequestCutter cutter;
  CHECK(cutter.declared_args() == -1);
  std::string_view bytes(message);
  CHECK(std::get<NeedMore>(cutter.advance(bytes.substr(0, body + 10))).at_least == 992);
  CHECK(cutter.declared_args() == 3);
  CHECK(cutter.arg_count() == 2);
  CHECK(cutter.arg(0, bytes) == "SET");
  CHECK(cutter.arg(1, bytes) == "key");
  CHECK(cutter.open_bulk_size() == 1'000);
  CHECK(cutter.open_bulk_offset() == body);
  CHECK(std::holds_alternative<Request>(cutter.advance(bytes)));
  CHECK(cutter.open_bulk_size() == -1);
  CHECK_FALSE(cutter.is_inline());
  cutter.reset();
  CHECK(cutter.declared_args() == -1);
  CHECK(cutter.arg_count() == 0);
}

TEST_CASE("request: between two bulks the offset is that of the next header") {
  const std::string message = resp({"SET", "key", "value"});
  RequestCutter cutter;
  const std::size_t third = message.size() - bulk("value").size();
  CHECK(std::holds_alternative<NeedMore>(cutter.advance(message.substr(0, third + 2))));
  CHECK(cutter.open_bulk_size() == -1);
  CHECK(cutter.open_bulk_offset() == third);
}

// The rest of `message` after its first `head` bytes, as a session would follow it.
RequestTail tail_after(const std::string& message, std::size_t head) {
  RequestCutter cutter;
  const std::string arrived = message.substr(0, head);
  REQUIRE(std::holds_alternative<NeedMore>(cutter.advance(arrived)));
  REQUIRE(cutter.open_bulk_size() >= 0);
  const auto here = static_cast<std::int64_t>(head - cutter.open_bulk_offset());
  return {cutter.declared_args() - static_cast<std::int64_t>(cutter.arg_count()),
          cutter.open_bulk_size() + 2 - here};
}

TEST_CASE("tail: finds the end of a message from inside any of its bulks, at any split") {
  const std::string message = resp({"SET", "key", std::string(40, 'v'), "", "EX", "10"});
  const std::string stream = message + resp({"GET", "key"});
  for (std::size_t head = 0; head < message.size(); ++head) {
    RequestCutter cutter;
    (void)cutter.advance(message.substr(0, head));
    if (cutter.open_bulk_size() < 0) continue;
    for (std::size_t piece = 1; piece < 40; ++piece) {
      RequestTail tail = tail_after(message, head);
      std::size_t at = head;
      RequestTail::Step step{};
      while (!step.done) {
        const std::string_view bytes = std::string_view(stream).substr(at, piece);
        REQUIRE_FALSE(bytes.empty());
        step = tail.advance(bytes);
        REQUIRE_FALSE(step.broken);
        if (!step.done) REQUIRE(step.consumed == bytes.size());
        at += step.consumed;
      }
      CHECK(at == message.size());
    }
  }
}

TEST_CASE("tail: breaks where the cutter would") {
  for (const char* rest : {"$a", "$-", "$01", "$+", "x", "$1x", "$1099511627777", "$\r"}) {
    const RequestTail::Step step = RequestTail(1, 0).advance(rest);
    CHECK_MESSAGE(step.broken, rest);
    CHECK_FALSE(step.done);
  }
  CHECK_FALSE(RequestTail(1, 0).advance("$1099511627776\r\n").broken);
}

TEST_CASE("tail: nothing left is done at once") {
  const RequestTail::Step step = RequestTail(0, 0).advance("*1\r\n");
  CHECK(step.done);
  CHECK(step.consumed == 0);
}

}  // namespace
}  // namespace crossfade::redis
