// Messages: good bytes, prefixes, limits, split points; and what passes by in pieces.
#include "protocols/postgres/message.h"

#include <doctest/doctest.h>

#include "protocols/postgres/types.h"
#include "tests/unit/protocols/postgres/bytes.h"

namespace crossfade::postgres {
namespace {

Cut cut_once(std::string_view bytes, Stream stream, std::size_t whole_max = kWholeMaxDefault) {
  return MessageCutter(stream, whole_max).next(bytes);
}
bool is_broken(const std::string& bytes, Stream stream) {
  return std::holds_alternative<Broken>(cut_once(bytes, stream));
}

const std::string kFromClient =
    message('P', raw("s\0SELECT $1\0\0\1\0\0\0\x17")) + message('B', raw("\0s\0\0\0\0\0\0\0")) +
    message('D', raw("P\0")) + message('E', raw("\0\0\0\0\0")) + message('S') + message('H') +
    message('d', std::string(300, 'x')) + message('c') + message('f', raw("no\0")) +
    message('Q', raw("SELECT 1\0")) + message('F', std::string(20, '\0')) +
    message('C', raw("Ss\0")) + message('X');
const std::string kFromServer =
    message('1') + message('2') + message('T', raw("\0\0")) + message('D', std::string(1000, 'r')) +
    message('D', "r") + message('C', raw("SELECT 2\0")) + message('Z', "I") +
    message('N', raw("\0")) + message('A', raw("\0\0\0\1c\0p\0")) + message('S', raw("a\0b\0")) +
    message('t', raw("\0\0")) + message('n') + message('s') + message('G', raw("\0\0\0")) +
    message('H', raw("\0\0\0")) + message('d', "x") + message('c') + message('W', raw("\0\0\0")) +
    message('V', raw("\xff\xff\xff\xff")) + message('I') + message('3') + message('E', raw("\0"));

TEST_CASE("message: good bytes become messages, in order") {
  const Cutting client = cut_all(kFromClient, MessageCutter(Stream::Client), {kFromClient.size()});
  CHECK(client.messages.size() == 13);
  CHECK_FALSE(client.broken);
  CHECK(client.rest == 0);
  const Cutting server = cut_all(kFromServer, MessageCutter(Stream::Server), {kFromServer.size()});
  CHECK(server.messages.size() == 22);
  CHECK_FALSE(server.broken);
  CHECK(server.rest == 0);
}

TEST_CASE("message: every prefix of one that is awaited whole asks for what is missing") {
  for (const std::string& bytes :
       {message('S'), message('Q', raw("SELECT 1\0")), message('P', raw("s\0SELECT\0\0\0"))}) {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const Cut cut = cut_once(std::string_view(bytes).substr(0, size), Stream::Client);
      const auto* more = std::get_if<NeedMore>(&cut);
      REQUIRE(more != nullptr);
      CHECK(more->at_least > 0);
      CHECK(more->at_least <= bytes.size() - size);
    }
    const std::string twice = bytes + bytes;
    const Cut cut = cut_once(twice, Stream::Client);
    CHECK(std::get<Piece>(cut).whole());
    CHECK(std::get<Piece>(cut).bytes == bytes);
  }
}

TEST_CASE("message: the split point never changes the messages") {
  for (const auto& [bytes, stream] :
       {std::pair(kFromClient, Stream::Client), std::pair(kFromServer, Stream::Server)}) {
    for (const std::size_t whole_max : {std::size_t{5}, std::size_t{16}, kWholeMaxDefault}) {
      const MessageCutter cutter(stream, whole_max);
      const Cutting whole = cut_all(bytes, cutter, {bytes.size()});
      for (std::size_t first = 1; first < bytes.size(); first += 3) {
        CHECK(cut_all(bytes, cutter, {first, bytes.size()}) == whole);
      }
      for (const std::size_t piece : {1u, 2u, 5u, 7u, 64u}) {
        CHECK(cut_all(bytes, cutter, {piece}) == whole);
      }
    }
  }
}

TEST_CASE("message: rows and copied data pass by as they arrive, whatever their size") {
  MessageCutter cutter(Stream::Server);
  const std::uint32_t length = 1u << 30;
  const std::string begin = header('D', length) + "ab";
  Piece piece = std::get<Piece>(cutter.next(begin));
  CHECK(piece.size == std::size_t{length} + 1);
  CHECK(piece.bytes == begin);
  CHECK_FALSE(piece.last());
  const std::string more(1 << 20, 'x');
  std::size_t left = piece.size - begin.size();
  while (left > 0) {
    piece = std::get<Piece>(cutter.next(more));
    REQUIRE(piece.type == 'D');
    REQUIRE(piece.offset == std::size_t{length} + 1 - left);
    left -= piece.bytes.size();
  }
  CHECK(piece.last());
  CHECK(cutter.at_boundary());
}

TEST_CASE("message: a long one that is looked at comes with a head of whole_max bytes") {
  MessageCutter cutter(Stream::Client, 100);
  const std::string bytes = message('B', raw("p\0s\0") + std::string(500, 'v'));
  for (std::size_t size = 5; size < 100; ++size) {
    const Cut cut = cutter.next(std::string_view(bytes).substr(0, size));
    CHECK(std::get<NeedMore>(cut).at_least == 100 - size);
  }
  const Piece head = std::get<Piece>(cutter.next(std::string_view(bytes).substr(0, 100)));
  CHECK(head.first());
  CHECK_FALSE(head.last());
  CHECK(head.size == bytes.size());
  CHECK(std::holds_alternative<NeedMore>(cutter.next({})));
  const Piece rest = std::get<Piece>(cutter.next(std::string_view(bytes).substr(100)));
  CHECK(rest.last());
  CHECK(rest.offset == 100);
}

TEST_CASE("message: limits hold at the limit and break one beyond it") {
  struct Limit {
    Stream stream;
    char type;
    std::uint32_t length_max;
  };
  for (const Limit limit :
       {Limit{Stream::ClientLogin, 'p', kPasswordMax}, Limit{Stream::Client, 'Q', kClientLargeMax},
        Limit{Stream::Client, 'B', kClientLargeMax}, Limit{Stream::Client, 'd', kClientLargeMax},
        Limit{Stream::Client, 'E', kClientSmallMax}, Limit{Stream::Client, 'S', kClientSmallMax},
        Limit{Stream::ServerLogin, 'E', kServerLoginMax},
        Limit{Stream::Server, 'Z', kServerSmallMax}, Limit{Stream::Server, 'D', kServerLargeMax}}) {
    CHECK_FALSE(is_broken(header(limit.type, limit.length_max), limit.stream));
    CHECK(is_broken(header(limit.type, limit.length_max + 1), limit.stream));
    CHECK(is_broken(header(limit.type, 0xffffffff), limit.stream));
    CHECK_FALSE(is_broken(header(limit.type, 4), limit.stream));
    for (const std::uint32_t length : {0u, 1u, 3u}) {
      CHECK(is_broken(header(limit.type, length), limit.stream));
    }
  }
}

TEST_CASE("message: a type that nobody sends in a stream is known by its first byte") {
  const std::pair<Stream, std::string_view> kTypes[] = {{Stream::ClientLogin, "p"},
                                                        {Stream::Client, "QFBPCDEHSXcfd"},
                                                        {Stream::ServerLogin, "RKSZENv"},
                                                        {Stream::Server, "123CIGHWZcnsTtSENADdV"}};
  for (const auto& [stream, types] : kTypes) {
    for (int byte = 0; byte < 256; ++byte) {
      const std::string bytes(1, static_cast<char>(byte));
      CHECK(is_broken(bytes, stream) == (types.find(bytes) == std::string_view::npos));
    }
  }
}

TEST_CASE("message: after the login other types are known") {
  MessageCutter cutter(Stream::ClientLogin);
  CHECK(std::get<Piece>(cutter.next(message('p', raw("secret\0")))).whole());
  cutter.continue_as(Stream::Client);
  CHECK(std::get<Piece>(cutter.next(message('S'))).whole());
  CHECK(std::holds_alternative<Broken>(cutter.next(message('p', raw("secret\0")))));
}

TEST_CASE("message: a run is what is whole, of its type") {
  const std::string row = message('D', "abc");
  const std::string rows = row + row + row;
  CHECK(run_of('D', rows + message('C', raw("SELECT 3\0"))).messages == 3);
  for (std::size_t size = 0; size <= rows.size(); ++size) {
    const Run run = run_of('D', std::string_view(rows).substr(0, size));
    CHECK(run.messages == size / row.size());
    CHECK(run.size == run.messages * row.size());
  }
  CHECK(run_of('d', rows).size == 0);
  CHECK(run_of('D', row + header('D', 3) + row).size == row.size());
  CHECK(run_of('D', header('D', 0xffffffff)).size == 0);
}

TEST_CASE("message: a size is that of a whole one within the limit, or none") {
  const std::string two = message('C', raw("SELECT 1\0")) + message('Z', "I");
  const std::size_t size = two.size() - 6;
  const auto length = static_cast<std::uint32_t>(size - 1);
  for (std::size_t here = 0; here <= two.size(); ++here) {
    CHECK(whole_size(std::string_view(two).substr(0, here), length) == (here < size ? 0 : size));
  }
  CHECK(whole_size(two, length - 1) == 0);
  CHECK(whole_size(header('D', 3) + two, 100) == 0);
  CHECK(whole_size(header('D', 4) + two, 100) == kHeaderSize);
  CHECK(whole_size(header('D', 0xffffffff) + two, 0xffffffff) == 0);
}

}  // namespace
}  // namespace crossfade::postgres
