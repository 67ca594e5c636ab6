// hiredis's reader as a judge of RESP2 framing: where a message ends, and what is none.
#pragma once

#include <hiredis/hiredis.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "tests/fuzz/fuzz.h"

namespace crossfade::fuzz {

// Objects that hiredis may hold but that cost nothing, however large it believes them to be. The
// reader's privdata is where it is noted that something else was met than arrays of bulks.
inline char g_object;
inline void* note(const redisReadTask* task, bool as_in_a_request) {
  if (!as_in_a_request) *static_cast<bool*>(task->privdata) = true;
  return &g_object;
}
inline redisReplyObjectFunctions g_no_objects{
    [](const redisReadTask* task, char*, std::size_t) {
      return note(task, task->parent != nullptr && task->type == REDIS_REPLY_STRING);
    },
    [](const redisReadTask* task, int) { return note(task, task->parent == nullptr); },
    [](const redisReadTask* task, long long) { return note(task, false); },
    [](const redisReadTask* task) {
      return note(task, task->parent == nullptr && task->type == REDIS_REPLY_ARRAY);
    },
    [](void*) {},
};

class Judge {
 public:
  Judge() : reader_(redisReaderCreateWithFunctions(&g_no_objects)) { reader_->privdata = &mixed_; }
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  // Reads on until there is no whole message left, or there are so many.
  void feed(std::string_view bytes, std::size_t messages_max = SIZE_MAX) {
    require(redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) == REDIS_OK, "hiredis eats");
    fed_ += bytes.size();
    while (!failed_ && ends_.size() < messages_max) {
      void* object = nullptr;
      failed_ = redisReaderGetReply(reader_.get(), &object) != REDIS_OK;
      if (failed_ || object == nullptr) return;
      ends_.push_back(fed_ - (reader_->len - reader_->pos));
    }
  }
  bool failed() const { return failed_; }
  const std::vector<std::size_t>& ends() const { return ends_; }
  // It has met anything but arrays of bulks, which is what requests are.
  bool mixed() const { return mixed_; }
  // True when it gave up for a reason of its own, not because the bytes are no RESP2.
  bool abstains() const {
    if (!failed_) return false;
    for (const char* reason :
         {"Bad integer value", "nested multi bulk", "Multi-bulk length out of range"}) {
      if (std::strstr(reader_->errstr, reason) != nullptr) return true;
    }
    if (std::strstr(reader_->errstr, "as reply type byte") == nullptr) return false;
    const char* const type = std::strchr(reader_->errstr, '"');
    return type != nullptr && std::strchr("_#,(!=%~>|", type[1]) != nullptr;
  }

 private:
  struct Free {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
  };
  std::unique_ptr<redisReader, Free> reader_;
  std::vector<std::size_t> ends_;
  std::size_t fed_ = 0;
  bool failed_ = false;
  bool mixed_ = false;
};

inline bool has_long_number(std::string_view bytes) {
  std::size_t digits = 0;
  for (const char c : bytes) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits >= 18) return true;
  }
  return false;
}

}  // namespace crossfade::fuzz
