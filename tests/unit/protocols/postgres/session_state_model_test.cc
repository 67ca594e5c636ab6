// What a session holds, by chance: against plain maps that are changed as the server changes them.
#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "protocols/postgres/frontend.h"
#include "protocols/postgres/session_state.h"
#include "tests/unit/protocols/postgres/bytes.h"

namespace crossfade::postgres {
namespace {

struct Step {
  std::uint64_t id;
  std::string bytes;
  std::string name;
};

// The server, which fails one in ten messages and discards what follows up to the Sync.
class Server {
 public:
  explicit Server(std::uint32_t seed) : dice_(seed) {}

  // A message to send; ids rise.
  Step next() {
    const std::string name = std::string(roll(3), 'n');  // empty: the unnamed
    Step step{++last_id_, {}, name};
    switch (roll(6)) {
      case 0:
      case 1:
        append_parse(step.bytes, name, std::to_string(step.id));
        break;
      case 2:
        step.bytes = message('B', name + raw("\0\0"));
        break;
      case 3:
        append_close(step.bytes, roll(2) == 0 ? kStatement : kPortal, name);
        break;
      case 4:
        append_query(step.bytes, "…");
        break;
      default:
        append_sync(step.bytes);
    }
    return step;
  }

  void answer(const Step& step, SessionState& state) {
    const char type = step.bytes[0];
    if (skips_ && type != 'S') return;
    if (type == 'S' || type == 'Q') {
      if (type == 'Q') query(step, state);
      skips_ = false;
      const bool idle = roll(2) == 0;
      if (idle) portals.clear();
      return state.answered(step.id, 'Z', idle ? "I" : "T");
    }
    if (type == 'P' && step.name.empty()) statements.erase("");
    if (roll(10) == 0) {
      skips_ = true;
      return state.answered(step.id, 'E', {});
    }
    work(step, type);
    state.answered(step.id, type == 'P' ? '1' : type == 'B' ? '2' : '3', {});
  }

  std::map<std::string, std::string> statements;
  std::set<std::string> portals;

 private:
  std::uint32_t roll(std::uint32_t sides) { return static_cast<std::uint32_t>(dice_()) % sides; }

  void query(const Step& step, SessionState& state) {
    statements.erase("");
    const bool all = roll(8) == 0;
    if (all) std::erase_if(statements, [](const auto& kept) { return !kept.first.empty(); });
    state.answered(step.id, 'C', all ? raw("DISCARD ALL\0") : raw("SELECT 1\0"));
  }

  void work(const Step& step, char type) {
    if (type == 'P') statements[step.name] = step.bytes;
    if (type == 'B' && !step.name.empty()) portals.insert(step.name);
    if (type != 'C') return;
    if (step.bytes[kHeaderSize] == kStatement) statements.erase(step.name);
    if (step.bytes[kHeaderSize] == kPortal) portals.erase(step.name);
  }

  std::mt19937 dice_;
  std::uint64_t last_id_ = 0;
  bool skips_ = false;
};

bool same(const SessionState& state, const Server& server) {
  std::map<std::string, std::string> kept;
  for (const auto& [name, statement] : state.statements()) kept[name] = statement.message;
  if (state.unnamed()) kept[""] = state.unnamed()->message;
  bool portals = state.portals() == server.portals.size();
  for (const std::string& name : server.portals) portals = portals && state.has_portal(name);
  return portals && kept == server.statements && state.kept() == Kept::All;
}

TEST_CASE("session state: however messages are pipelined, it is what the server holds") {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    Server server(seed);
    std::mt19937 dice(seed);
    SessionState state;
    std::vector<Step> pipeline;
    for (int round = 0; round < 60; ++round) {
      for (std::uint32_t more = static_cast<std::uint32_t>(dice()) % 8; more > 0; --more) {
        pipeline.push_back(server.next());
        const std::string& bytes = pipeline.back().bytes;
        state.sent(pipeline.back().id, {bytes[0], bytes.size(), 0, bytes});
      }
      for (const Step& step : pipeline) server.answer(step, state);
      pipeline.clear();
      REQUIRE_MESSAGE(same(state, server), seed);
    }
  }
}

}  // namespace
}  // namespace crossfade::postgres
