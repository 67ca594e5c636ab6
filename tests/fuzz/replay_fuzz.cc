// Repeating writes: a request, and behind it replies that no server may ever have sent. A beginning
// promises what the whole keeps; what is asked and repeated are whole requests, as many as is said.
#include "protocols/redis/replay.h"

#include <string>
#include <vector>

#include "protocols/redis/facts.h"
#include "protocols/redis/reply.h"
#include "protocols/redis/reply_view.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/protocols/redis/bytes.h"

namespace crossfade::redis {
namespace {

using fuzz::require;
using Views = std::vector<std::string_view>;

void require_requests(const std::string& bytes, std::uint32_t count) {
  const Cutting cutting = cut_all(bytes);
  require(!cutting.broken && cutting.rest == 0, "only whole requests are written");
  require(cutting.requests.size() == count, "as many as is said");
}

void check_elements(std::string_view reply) {
  Views elements;
  if (!split_elements(reply, elements)) {
    require(elements.empty(), "what is no aggregate leaves nothing");
    return;
  }
  std::size_t size = 0;
  for (const std::string_view element : elements) {
    ReplyScanner scanner;
    const ReplyScanner::Step step = scanner.advance(element);
    require(step.state == ReplyScanner::State::Complete && step.consumed == element.size(),
            "an element is a whole reply");
    size += element.size();
  }
  require(elements.empty() || elements.back().end() == reply.end(), "the last one ends it");
  require(elements.empty() || elements.front().data() + size == reply.data() + reply.size(),
          "elements lie side by side");
}

void check_reply(std::string_view bytes) {
  const std::vector<char> own(bytes.begin(), bytes.end());  // reading beyond it is seen
  const std::string_view reply(own.data(), own.size());
  const int forms = (is_null(reply) ? 1 : 0) + (is_error(reply) ? 1 : 0) +
                    (text_in(reply).has_value() ? 1 : 0) + (integer_in(reply).has_value() ? 1 : 0);
  require(forms <= 1, "a reply is of one form");
  check_elements(reply);
}

void check_write(const CommandSpec* spec, const Views& args, const Views& keys,
                 std::string_view reply, const Views& answers) {
  const Replay replay = replay_of(spec, args, true);
  for (std::size_t count = 1; count < args.size(); ++count) {
    const Replay early = replay_of(spec, std::span(args).first(count), false);
    require(early == replay || replay == Replay::Same, "a beginning is the more careful one");
  }
  const CommandTable& commands = *CommandTable::built_in();
  std::string asked;
  const std::uint32_t questions = append_questions(replay, spec, args, keys, commands, asked);
  require_requests(asked, questions);
  for (const Replay any :
       {Replay::Same, Replay::Expiry, Replay::Made, Replay::Copy, Replay::Suspect}) {
    std::string out = "before";
    const auto count = append_repeat(
        any, {.spec = spec, .args = args, .keys = keys, .reply = reply, .answers = answers}, out);
    require(out.starts_with("before") && (count || out == "before"), "else it is as it was");
    if (count) require_requests(out.substr(6), *count);
  }
}

void check(std::string_view bytes) {
  check_reply(bytes);
  RequestCutter cutter;
  const Cut cut = cutter.advance(bytes);
  const auto* const request = std::get_if<Request>(&cut);
  if (request == nullptr || cutter.arg_count() == 0) return;
  const std::string_view message = bytes.substr(0, request->size);
  bytes.remove_prefix(request->size);
  Views replies;
  while (!bytes.empty()) {
    ReplyScanner scanner;
    const ReplyScanner::Step step = scanner.advance(bytes);
    if (step.state != ReplyScanner::State::Complete) break;
    replies.push_back(bytes.substr(0, step.consumed));
    check_reply(replies.back());
    bytes.remove_prefix(step.consumed);
  }
  const auto facts = facts_of(*CommandTable::built_in(), cutter, message, true);
  Views args, keys;
  for (std::size_t i = 0; i < cutter.arg_count(); ++i) args.push_back(cutter.arg(i, message));
  if (facts->spec != nullptr) {
    for_each_key(*facts->spec, cutter, message, [&](std::string_view key) { keys.push_back(key); });
  }
  const std::string_view reply = replies.empty() ? bytes : replies.front();
  if (!replies.empty()) replies.erase(replies.begin());
  check_write(facts->spec, args, keys, reply, replies);
}

}  // namespace
}  // namespace crossfade::redis

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crossfade::redis::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
