// Asking for one page behind the other.
#include "client/journal.h"

namespace crossfade {

namespace {

constexpr std::size_t kPage = 1000;  // the most that one answer has

}  // namespace

Result<ApiAnswer> read_journal(ApiClient& client, const std::string& migration, std::uint64_t after,
                               const std::function<bool(const Json&)>& each) {
  while (true) {
    auto answer = client.call({.method = "GET",
                               .path = migration + "/events?after=" + std::to_string(after) +
                                       "&limit=" + std::to_string(kPage)});
    if (!answer || !answer->succeeded()) return answer;
    const Json* events = answer->data();
    if (events == nullptr || events->elements() == nullptr) return answer;
    for (const Json& event : *events->elements()) {
      const Json* seq = event.find("seq");
      if (seq == nullptr || !seq->whole_number(0, UINT64_MAX, after)) return answer;
      if (!each(event)) return answer;
    }
    if (events->elements()->size() < kPage) return answer;
  }
}

}  // namespace crossfade
