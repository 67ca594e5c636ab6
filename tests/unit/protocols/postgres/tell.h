// Tells a digest what a server has sent, as a session does, for tests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <variant>

#include "protocols/postgres/message.h"
#include "protocols/postgres/result_digest.h"

namespace crossfade::postgres {

// Some bytes at the beginning of `here`; returns how many were told. 0: more have to come.
inline std::size_t tell_some(ResultDigest& digest, MessageCutter& cutter, std::string_view here) {
  if (cutter.at_boundary() && (here[0] == 'D' || here[0] == 'd')) {
    const Run run = run_of(here[0], here);
    digest.on_rows(here[0], here.substr(0, run.size));
    if (run.messages > 0) return run.size;
  }
  const Cut cut = cutter.next(here);
  const auto* const piece = std::get_if<Piece>(&cut);
  if (piece == nullptr) return 0;
  digest.on_piece(*piece);
  return piece->bytes.size();
}

// The bytes arrive `size` at a time: runs of whole rows are told at once, what is awaited whole
// only when it is there.
inline ResultDigest digest_of(std::string_view bytes, std::size_t size = SIZE_MAX,
                              How how = How::Exact) {
  ResultDigest digest;
  digest.expect(how);
  MessageCutter cutter(Stream::Server);
  std::size_t begin = 0;
  for (std::size_t end = 0; end < bytes.size();) {
    end += std::min(size, bytes.size() - end);
    while (begin < end) {
      const std::size_t told = tell_some(digest, cutter, bytes.substr(begin, end - begin));
      if (told == 0) break;
      begin += told;
    }
  }
  return digest;
}

}  // namespace crossfade::postgres
