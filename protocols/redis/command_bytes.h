// Writes requests as bytes: RESP arrays of bulks, which every server and version reads.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace crossfade::redis {

// Appends one command to `out`.
void append_command(std::string& out, std::span<const std::string_view> words);
void append_command(std::string& out, std::initializer_list<std::string_view> words);

}  // namespace crossfade::redis
