// Facts: any request has them; those of a beginning are those of the whole; and keys are arguments.
#include "protocols/redis/facts.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/protocols/redis/bytes.h"

namespace crossfade::redis {
namespace {

using fuzz::require;

bool same(const RequestFacts& left, const RequestFacts& right) {
  return left.spec == right.spec && left.kind == right.kind && left.effect == right.effect &&
         left.blocks == right.blocks && left.cursor == right.cursor &&
         left.cursor_starts == right.cursor_starts && left.sided == right.sided &&
         left.comparable == right.comparable && left.key_count == right.key_count &&
         left.bucket_low == right.bucket_low && left.bucket_high == right.bucket_high;
}

void check_keys(const RequestFacts& facts, const RequestCutter& cutter, std::string_view bytes) {
  std::uint32_t keys = 0;
  for_each_key(*facts.spec, cutter, bytes, [&](std::string_view key) {
    ++keys;
    const std::uint32_t bucket = key_bucket(key);
    require(facts.bucket_low <= bucket && bucket <= facts.bucket_high, "buckets span all keys");
  });
  require(keys == facts.key_count, "every key is counted");
}

void check_message(std::string_view message) {
  const CommandTable& commands = *CommandTable::built_in();
  RequestCutter cutter;
  (void)cutter.advance(message);
  const auto whole = facts_of(commands, cutter, message, true);
  require(whole.has_value(), "a whole request has facts");
  if (whole->spec != nullptr) check_keys(*whole, cutter, message);
  RequestCutter growing;
  bool known = false;
  for (std::size_t size = 0; size < message.size(); ++size) {
    const std::string_view arrived = message.substr(0, size);
    (void)growing.advance(arrived);
    if (growing.arg_count() == 0) continue;
    const auto early = facts_of(commands, growing, arrived, false);
    require(early || !known, "what is known stays known");
    known = early.has_value();
    if (early) require(same(*early, *whole), "early facts are those of the whole");
  }
}

void check(std::string_view bytes) {
  while (!bytes.empty()) {
    RequestCutter cutter;
    const Cut cut = cutter.advance(bytes);
    const auto* const request = std::get_if<Request>(&cut);
    if (request == nullptr) return;
    if (cutter.arg_count() > 0) check_message(bytes.substr(0, request->size));
    bytes.remove_prefix(request->size);
  }
}

}  // namespace
}  // namespace crossfade::redis

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crossfade::redis::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
