// Replies owed, by record: what PostgreSQL 15 said to the scripts of
// tests/integration/pg_conversations.py is owed, message by message, and nothing is owed at the
// end. However far the client is ahead of the answers, each reply is told from each other in the
// same way.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "tests/unit/protocols/postgres/conversation.h"

namespace crossfade::postgres {
namespace {

struct Recorded {
  std::string name;
  std::string tokens;
};

std::vector<Recorded> read_recorded() {
  std::vector<Recorded> all;
  std::ifstream file(RECORDED_CONVERSATIONS);
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) all.push_back({line.substr(0, colon), line.substr(colon + 2)});
  }
  return all;
}

// The client's messages before all of the server's.
std::string sent_ahead(const std::string& tokens) {
  std::string ours, theirs;
  std::istringstream words(tokens);
  for (std::string token; words >> token;) (token[0] == '>' ? ours : theirs) += token + " ";
  return ours + theirs;
}

bool has(const std::string& tokens, const char* token) {
  return tokens.find(token) != std::string::npos;
}

// Where a COPY failed that may have eaten a Sync, which one is answered may be told in two ways.
std::string comparable(const std::string& tokens, const std::string& said) {
  if (!has(tokens, "<G") || !has(tokens, "<E")) return said;
  std::string kept;
  std::istringstream words(said);
  for (std::string word; words >> word;) {
    kept.append(word[0] == 'Z' ? word.substr(0, word.find(':')) : word).append(" ");
  }
  return kept;
}

TEST_CASE("owed: all that a real server says is owed, and is all that is") {
  const std::vector<Recorded> all = read_recorded();
  CHECK(all.size() > 80);
  for (const Recorded& recorded : all) {
    const Conversation as_it_was = talk(recorded.tokens);
    const Conversation ahead = talk(sent_ahead(recorded.tokens));
    INFO(recorded.name, ": ", recorded.tokens, "\nas it was: ", as_it_was.text(),
         "\nsent ahead: ", ahead.text());
    CHECK_FALSE(has(as_it_was.text(), "broken"));
    CHECK_FALSE(as_it_was.owed.owes());
    CHECK_FALSE(ahead.owed.owes());
    CHECK(comparable(recorded.tokens, ahead.text()) ==
          comparable(recorded.tokens, as_it_was.text()));
  }
}

TEST_CASE("owed: every prefix of what a real server says is owed, and a reply too many never is") {
  for (const Recorded& recorded : read_recorded()) {
    Conversation conversation;
    std::istringstream words(recorded.tokens);
    bool good = true;
    for (std::string token; good && words >> token;) good = conversation.pass(token);
    CHECK_MESSAGE(good, recorded.name);
    if (!conversation.owed.settled()) continue;
    CHECK_MESSAGE(!conversation.pass("<ZI"), recorded.name);
  }
}

}  // namespace
}  // namespace crossfade::postgres
