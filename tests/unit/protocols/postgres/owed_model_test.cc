// Replies owed, by chance: a small model of the server's main loop answers random conversations,
// and knows for each reply which message it was working on. However the two streams interleave,
// the queue says the same.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/protocols/postgres/conversation.h"

namespace crossfade::postgres {
namespace {

// A reply, made while message `after` was worked on, and what the queue should say of it.
struct Reply {
  std::string token;     // "<C"; of one that is synthesised: empty
  std::size_t after;     // how many messages must have been sent before it can come
  std::string expected;  // as in conversation.h
};

// The server's main loop, with dice instead of SQL. It is given sensible messages mostly, and makes
// of them the tokens of a conversation.
class Model {
 public:
  explicit Model(std::uint32_t seed) : dice_(seed) {}

  void run(std::size_t messages) {
    while (sent.size() < messages && !over_) take(choose());
    while (copying_ && !over_) take(chance(50) ? ">c" : ">f");
    if (copy_failed_ && !over_) take(">c");
    if (!over_) take(">S");
  }

  std::vector<std::string> sent;
  std::vector<Reply> replies;
  bool doubtful = false;  // a COPY has failed that may have eaten a Sync

 private:
  std::uint32_t roll(std::uint32_t sides) { return static_cast<std::uint32_t>(dice_()) % sides; }
  bool chance(unsigned percent) { return roll(100) < percent; }
  std::string pick(std::initializer_list<const char*> tokens) {
    return *(tokens.begin() + roll(static_cast<std::uint32_t>(tokens.size())));
  }

  std::string choose() {
    // A client that copies goes on copying until it hears of the error, and then says so, or Sync.
    if (copy_failed_) {
      const std::string token =
          ignoring_ ? pick({">d", ">c", ">f", ">S"}) : pick({">d", ">c", ">f"});
      copy_failed_ = ignoring_ || token == ">d";
      return token;
    }
    if (copying_) {  // a Sync only where libpq sends one: behind the Execute, before any data
      if (may_sync_ && chance(60)) return ">S";
      may_sync_ = false;
      if (chance(2)) return pick({">Q", ">P", ">B"});  // does not belong here
      return pick({">d", ">d", ">d", ">H", ">c", ">c", ">f"});
    }
    const std::string token = pick({">P", ">B", ">DS", ">DP", ">E", ">E", ">C", ">S", ">S", ">Q",
                                    ">Q", ">F", ">H", ">c", ">f", ">d", ">HX", ">DX"});
    // Ends of no COPY only where no COPY was: behind one they would make it another conversation.
    // And nobody puts Syncs of the sidecar's own there.
    if (copied_ && (token == ">c" || token == ">f" || token == ">S")) return ">S";
    const bool answered_by_us = !doubtful && (token == ">P" || token == ">C") && chance(20);
    return token + (answered_by_us ? "+" : pick({"", "", "~", "="}));
  }

  void take(const std::string& token) {
    sent.push_back(token);
    const char type = token[1];
    const bool ignored = ignoring_ && type != from_client::kSync;
    if (mark() == Mark::Synthesise) {
      if (!ignored) reply("", "+" + std::string(1, type) + ":" + std::to_string(sent.size()));
      return;
    }
    if (copying_) return take_copy(type);
    if (ignored) return;
    cause_ = sent.size();
    aside();
    act(type, token);
  }

  Mark mark() const { return mark_of(sent.back().back()); }

  void act(char type, const std::string& token) {
    switch (type) {
      case from_client::kQuery:
        return results();
      case from_client::kFunctionCall:
        if (chance(70))
          say("<V", "");
        else
          say("<E", "");
        return ready();
      case from_client::kSync:
        // Only the commit of something can fail.
        if (!ignoring_ && cause_ > 1 && sent[cause_ - 2][1] == from_client::kExecute && chance(20))
          say("<E", "");
        ignoring_ = false;
        copy_failed_ = false;
        return ready();
      case from_client::kExecute:
        return execute();
      case from_client::kParse:
        return chance(15) ? fail() : say("<1", ".");
      case from_client::kBind:
        return chance(15) ? fail() : say("<2", ".");
      case from_client::kClose:
        return chance(5) ? fail() : say("<3", ".");
      case from_client::kDescribe:
        return describe(token);
      case from_client::kFlush:
        if (token == ">HX" || token.starts_with(">HX")) fail();
        return;
      default:
        return;
    }
  }

  void describe(const std::string& token) {
    const char subject = token[2];
    if (subject == 'X' || chance(10)) return fail();
    if (subject == 'S') {
      say("<t", "");
      if (chance(5)) return fail();
    }
    say(pick({"<T", "<n"}), ".");
  }

  void execute() {
    in_query_ = false;
    if (chance(15)) return begin_copy();
    if (chance(15)) return copy_out();
    for (std::uint32_t rows = roll(3); rows > 0; --rows) say("<D", "");
    if (chance(15)) return fail();
    say(pick({"<C", "<s", "<I"}), ".");
  }

  // Statements of a simple query, up to one that copies in, or to its end.
  void results() {
    in_query_ = true;
    do {
      if (chance(15)) return fail();
      if (chance(15)) return begin_copy();
      if (chance(15)) {
        copy_out();
        if (failed_) return;
        continue;
      }
      if (chance(50)) {
        say("<T", "");
        for (std::uint32_t rows = roll(3); rows > 0; --rows) say("<D", "");
      }
      say(pick({"<C", "<I"}), "");
    } while (chance(40));
    ready();
  }

  void copy_out() {
    failed_ = false;
    say("<H", "");
    for (std::uint32_t rows = roll(3); rows > 0; --rows) say("<d", "");
    if (chance(15)) {
      failed_ = true;
      return fail();
    }
    say("<c", "");
    say("<C", in_query_ ? "" : ".");
  }

  void begin_copy() {
    say("<G", "");
    copying_ = copied_ = true;
    may_sync_ = true;
  }

  void take_copy(char type) {
    if (type == from_client::kSync || type == from_client::kFlush) return;
    may_sync_ = false;
    if (type == from_client::kCopyData) {
      if (chance(15)) end_copy(true);
    } else if (type == from_client::kCopyDone) {
      end_copy(chance(15));
    } else if (type == from_client::kCopyFail) {
      end_copy(true);
    } else {
      say("<E", in_query_ ? "" : ".");
      reply("<E!", "E!:-" + (in_query_ ? mark_text(cause_mark()) : "") + ".");
      over_ = true;
    }
  }

  void end_copy(bool failed) {
    copying_ = false;
    // Sent ahead, Syncs behind the error may be thought eaten as well.
    doubtful |= failed;
    copy_failed_ = failed && sent.back()[1] == from_client::kCopyData;
    if (failed) return fail();
    say("<C", in_query_ ? "" : ".");
    if (!in_query_) return;
    if (chance(30)) return results();
    ready();
  }

  void fail() {
    const bool query = sent[cause_ - 1][1] == from_client::kQuery;
    say("<E", query ? "" : ".");
    if (query) return ready();
    ignoring_ = true;
  }

  void ready() { say(pick({"<ZI", "<ZT", "<ZE"}), "."); }

  Mark cause_mark() const { return mark_of(sent[cause_ - 1].back()); }

  // A reply to the message that is worked on; its last one when `ends` is ".".
  void say(const std::string& token, const std::string& ends) {
    reply(token, token.substr(1) + ":" + std::to_string(cause_) + mark_text(cause_mark()) + ends);
    if (chance(5)) reply("<A", "A:-");
  }
  void aside() {
    if (chance(5)) reply("<A", "A:-");
  }
  void reply(const std::string& token, const std::string& expected) {
    replies.push_back({token, sent.size(), expected});
  }

  std::mt19937 dice_;
  std::size_t cause_ = 0;  // the message that is worked on, from 1 on
  bool copying_ = false;
  bool copied_ = false;
  bool copy_failed_ = false;
  bool may_sync_ = false;
  bool in_query_ = false;
  bool ignoring_ = false;
  bool failed_ = false;
  bool over_ = false;
};

// Lets the streams pass by, sending ahead of the answers with that probability.
std::string pass_by(const Model& model, std::uint32_t seed, unsigned ahead_percent) {
  std::mt19937 dice(seed);
  Conversation conversation;
  std::size_t sent = 0;
  std::size_t came = 0;
  while (sent < model.sent.size() || came < model.replies.size()) {
    const bool may_come = came < model.replies.size() && model.replies[came].after <= sent;
    if (may_come && (sent == model.sent.size() || dice() % 100 >= ahead_percent)) {
      const Reply& reply = model.replies[came++];
      if (!reply.token.empty() && !conversation.pass(reply.token)) break;
    } else if (!conversation.pass(model.sent[sent++])) {
      break;
    }
  }
  return conversation.text() + (conversation.owed.owes() ? " owes" : "");
}

// Notifications come out of turn, as what is synthesised waits for nothing.
std::vector<std::string> without_asides(const std::string& text) {
  std::vector<std::string> kept;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word != "A:-") kept.push_back(word);
  }
  return kept;
}

// Where a COPY failed that had perhaps eaten a Sync, which of the Syncs is answered may be told
// wrong, as long as each of them is.
bool agree(const std::string& said, const std::string& expected) {
  if (said == expected) return true;
  const auto without_id = [](const std::string& word) {
    return word.substr(0, word.find(':')) + word.substr(word.find_last_of("0123456789") + 1);
  };
  const bool of_sync = said[0] == 'Z' || said.starts_with("E:0");
  return of_sync && without_id(said) == without_id(expected);
}
bool agree(const Model& model, const std::string& said, const std::string& expected) {
  const auto ours = without_asides(said);
  const auto theirs = without_asides(expected);
  if (!model.doubtful) return ours == theirs;
  return std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end(),
                    [](const auto& a, const auto& b) { return agree(a, b); });
}

TEST_CASE("owed: whatever a server answers, each reply is told from each other") {
  for (std::uint32_t seed = 0; seed < 3000; ++seed) {
    Model model(seed);
    model.run(4 + seed % 40);
    std::string expected;
    for (const Reply& reply : model.replies) expected.append(reply.expected).append(" ");
    for (const unsigned ahead_percent : {0u, 30u, 70u, 100u}) {
      const std::string said = pass_by(model, seed, ahead_percent);
      if (agree(model, said, expected)) continue;
      std::string script;
      for (const std::string& token : model.sent) script.append(token).append(" ");
      for (const Reply& reply : model.replies) script.append(reply.token).append(" ");
      FAIL(script << "\nsaid     " << said << "\nexpected " << expected << "\nahead "
                  << ahead_percent << " seed " << seed);
    }
  }
}

}  // namespace
}  // namespace crossfade::postgres
