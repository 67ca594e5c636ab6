// Digests of replies: however the bytes arrive, they mean the same; replies are like themselves,
// and what is alike strictly is alike less strictly.
#include "protocols/postgres/fields.h"
#include "protocols/postgres/result_digest.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/protocols/postgres/bytes.h"
#include "tests/unit/protocols/postgres/tell.h"

namespace crossfade::postgres {
namespace {

using fuzz::require;

constexpr How kAll[] = {How::Exact, How::Multiset, How::ShapeOnly};

bool passes(char type) { return std::string_view("DdVTt").find(type) != std::string_view::npos; }

// One message that may come in pieces of any size, but for its header.
void tell_in_pieces(ResultDigest& digest, const std::string& message, std::size_t size) {
  std::size_t offset = 0;
  do {
    const std::size_t wanted = std::max(size, offset == 0 ? kHeaderSize : 1);
    const std::vector<char> own(
        message.begin() + static_cast<std::ptrdiff_t>(offset),
        message.begin() + static_cast<std::ptrdiff_t>(std::min(offset + wanted, message.size())));
    digest.on_piece({message[0], message.size(), offset, {own.data(), own.size()}});
    offset += own.size();
  } while (offset < message.size());
}

void check_same(const ResultDigest& one, const ResultDigest& other, const char* property) {
  for (const How how : kAll) require(compare(one, other, how).same(), property);
}

void check_order(const ResultDigest& one, const ResultDigest& other) {
  bool same = false;
  for (const How how : kAll) {
    const Compared compared = compare(one, other, how);
    require(!same || compared.same(), "what is alike strictly is alike less strictly");
    require(compared.same() == compared.text().empty(), "a difference is described");
    same = compared.same();
  }
}

void check(const fuzz::Input& input, How how) {
  const std::size_t size = input.pieces[0];
  const ResultDigest whole = digest_of(input.bytes, SIZE_MAX, how);
  check_same(whole, digest_of(input.bytes, size, how), "the split point changes nothing");
  ResultDigest pieces;
  pieces.expect(how);
  const Cutting cutting = cut_all(input.bytes, MessageCutter(Stream::Server), {input.bytes.size()});
  bool all_whole = true;
  for (const std::string& message : cutting.messages) {
    all_whole = message.size() == 1 + std::size_t{read_u32(message.data() + 1)};
    if (!all_whole) break;
    tell_in_pieces(pieces, message, passes(message[0]) ? size : message.size());
  }
  if (all_whole) check_same(whole, pieces, "pieces of a message are the message");
  check_order(whole, digest_of(input.bytes.substr(input.bytes.size() / 2)));
}

}  // namespace
}  // namespace crossfade::postgres

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto input = crossfade::fuzz::read_input(data + 1, size - 1);
  crossfade::postgres::check(input, static_cast<crossfade::postgres::How>(data[0] % 3));
  return 0;
}
