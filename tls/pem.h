// Certificates, keys and CAs from PEM into an OpenSSL context.
//
// Blocks on files, which are small; never asks anybody for a pass phrase.
#pragma once

#include <string>
#include <string_view>

#include "protocols/base/result.h"

struct ssl_ctx_st;

namespace crossfade {

inline constexpr std::size_t kPemMax = 1u << 20;  // bytes of one; a bundle of all CAs has 220 KB

// The text that a setting stands for: its own, or that of the file it names.
//   errors  BadInput; `reason` names the file, and never quotes it
Result<std::string> read_pem(const std::string& source);

// Each takes the text of a PEM.
//   errors  BadInput: no such thing in it, or what OpenSSL finds wrong with it
Status use_chain(ssl_ctx_st* context, std::string_view pem);         // ours, our own first
Status use_key(ssl_ctx_st* context, std::string_view pem);           // after the chain: must fit it
Status trust(ssl_ctx_st* context, std::string_view pem);             // CAs to verify others with
Status announce_trusted(ssl_ctx_st* context, std::string_view pem);  // tells clients which CAs

}  // namespace crossfade
