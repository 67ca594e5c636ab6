// Finds where replies end, in RESP2 and RESP3, and the errors in them.
//
// Of its own, so that the sidecar's cutter is not judged by itself.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace crossfade::write_load {

struct Cut {
  enum class State : unsigned char { Whole, More, Broken } state = State::More;
  std::size_t size = 0;  // Whole: of the reply
};

// Looks at the first reply of `bytes`. `error` is called for each error in a whole one, also within
// arrays, with its text.
//   cost   O(its lines); one that has not arrived yet is looked at again from its beginning
Cut cut_reply(std::string_view bytes, const std::function<void(std::string_view)>& error);

}  // namespace crossfade::write_load
