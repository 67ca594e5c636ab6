// RAII over libuv handles: made only after their init succeeded, closed by their owner's
// destructor.
#pragma once

#include <uv.h>

#include <memory>

namespace crossfade {

template <class H>
struct UvCloser {
  void operator()(H* handle) const noexcept {
    handle->data = nullptr;  // callbacks in flight see null and stop
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* dead) { delete reinterpret_cast<H*>(dead); });
  }
};
template <class H>
using UvOwner = std::unique_ptr<H, UvCloser<H>>;

}  // namespace crossfade
