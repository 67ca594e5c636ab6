// Many templates: the first that matches, as trying each of them would say, however much of the
// request has arrived.
#include "protocols/redis/template_set.h"

#include <doctest/doctest.h>

#include <optional>
#include <random>

#include "tests/unit/protocols/redis/template_model.h"

namespace crossfade::redis {
namespace {

using State = TemplateSet::Match::State;

std::vector<Template> read_all(const std::vector<std::string>& queries) {
  std::vector<Template> forms;
  for (const std::string& query : queries) {
    auto form = read_template(query);
    REQUIRE_MESSAGE(form.ok(), query);
    forms.push_back(std::move(*form));
  }
  return forms;
}

std::optional<std::uint32_t> match(const TemplateSet& set, const Words& words) {
  const std::string bytes = resp(words);
  RequestCutter cutter;
  REQUIRE(std::holds_alternative<Request>(cutter.advance(bytes)));
  const TemplateSet::Match match = set.match(cutter, bytes);
  REQUIRE(match.state != State::NeedMore);
  if (match.state == State::None) return std::nullopt;
  return match.index;
}

// The state with the first `size` bytes of a request.
State state_at(const TemplateSet& set, const std::string& bytes, std::size_t size) {
  RequestCutter cutter;
  const std::string_view arrived = std::string_view(bytes).substr(0, size);
  (void)cutter.advance(arrived);
  return set.match(cutter, arrived).state;
}

std::vector<std::string> values(const std::string& query, const Words& words) {
  const Template form = read_template(query).value();
  const std::string bytes = resp(words);
  RequestCutter cutter;
  REQUIRE(std::holds_alternative<Request>(cutter.advance(bytes)));
  std::vector<std::string_view> found;
  field_values(form, cutter, bytes, found);
  return {found.begin(), found.end()};
}

TEST_CASE("template set: the first that matches has the request, whatever comes behind it") {
  const TemplateSet set(read_all({"GET user:{{id}}:name", "GET user:{{id}}", "get {{key}}",
                                  "SET user:{{id}} {{value}}", "GET user:1", "PING",
                                  "OBJECT encoding {{key}}", "my.command sub {{key}}"}));
  CHECK(match(set, {"GET", "user:7:name"}) == 0u);
  CHECK(match(set, {"gEt", "user:7"}) == 1u);
  CHECK(match(set, {"GET", "user:1"}) == 1u);
  CHECK(match(set, {"GET", "user:"}) == 2u);
  CHECK(match(set, {"GET", "other"}) == 2u);
  CHECK(match(set, {"GET", ""}) == std::nullopt);
  CHECK(match(set, {"GET", "a", "b"}) == std::nullopt);
  CHECK(match(set, {"GET"}) == std::nullopt);
  CHECK(match(set, {"SET", "user:1", "v"}) == 3u);
  CHECK(match(set, {"SET", "user:1", ""}) == std::nullopt);
  CHECK(match(set, {"ping"}) == 5u);
  CHECK(match(set, {"OBJECT", "ENCODING", "k"}) == 6u);
  CHECK(match(set, {"MY.COMMAND", "sub", "k"}) == 7u);
  CHECK(match(set, {"MY.COMMAND", "SUB", "k"}) == std::nullopt);
  CHECK(match(set, {""}) == std::nullopt);
  CHECK(match(set, {std::string(100'000, 'g')}) == std::nullopt);
}

TEST_CASE("template set: none matches nothing") {
  const TemplateSet set(std::vector<Template>{});
  CHECK(match(set, {"GET", "a"}) == std::nullopt);
}

TEST_CASE("template set: of several fields in an argument each is as short as it can be") {
  CHECK(values("GET {{a}}:{{b}}", {"GET", "x:y:z"}) == std::vector<std::string>{"x", "y:z"});
  CHECK(values("GET {{a}}:{{b}}.end", {"GET", "::.:.end"}) == std::vector<std::string>{":", ".:"});
  CHECK(values("SET u:{{id}} {{v}}", {"SET", "u:7", std::string("\0x", 2)}) ==
        std::vector<std::string>{"7", std::string("\0x", 2)});
}

TEST_CASE("template set: a field that stands twice has one value, or another template is asked") {
  const TemplateSet set(
      read_all({"LMOVE a:{{id}} b:{{id}} LEFT RIGHT", "LMOVE a:{{x}} b:{{y}} LEFT RIGHT"}));
  CHECK(match(set, {"LMOVE", "a:1", "b:1", "LEFT", "RIGHT"}) == 0u);
  CHECK(match(set, {"LMOVE", "a:1", "b:2", "LEFT", "RIGHT"}) == 1u);
  CHECK(match(set, {"LMOVE", "a:1", "b:2", "left", "RIGHT"}) == std::nullopt);
}

TEST_CASE("template set: a value that has not arrived is judged by its size alone") {
  const TemplateSet set(read_all({"SET user:{{id}} {{value}}", "GET {{key}}"}));
  const std::string bytes = resp({"SET", "user:7", std::string(1000, 'v')});
  const std::size_t header = bytes.find("$1000\r\n") + 7;
  CHECK(state_at(set, bytes, 0) == State::NeedMore);
  CHECK(state_at(set, bytes, 6) == State::NeedMore);
  CHECK(state_at(set, bytes, header - 7) == State::NeedMore);
  CHECK(state_at(set, bytes, header) == State::Found);
  CHECK(state_at(set, bytes, header + 500) == State::Found);
  const std::string other = resp({"SET", "x:7", std::string(1000, 'v')});
  CHECK(state_at(set, other, other.find("$1000")) == State::None);
  const TemplateSet ends(read_all({"SET {{key}} {{value}}.", "SET {{key}} {{value}}"}));
  CHECK(state_at(ends, bytes, header) == State::NeedMore);
}

// Random queries of few letters, so that much matches and much nearly does.
class Chance {
 public:
  explicit Chance(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t end) { return engine_() % end; }
  std::string letters(std::size_t most) {
    std::string text;
    for (std::size_t i = below(most + 1); i > 0; --i) text += "ab:"[below(3)];
    return text;
  }
  std::string argument() {
    std::string text = letters(3);
    if (text.empty() || below(3) > 0) {
      for (std::size_t fields = 1 + below(2), i = 0; i < fields; ++i) {
        text += "{{" + std::string(1, "xyz"[below(3)]) + "}}" + (i + 1 < fields ? "b" : "");
        text += letters(2);
      }
    }
    return text;
  }

 private:
  std::minstd_rand engine_;
};

TEST_CASE("template set: agrees with trying each template, for many of them at random") {
  Chance chance(7);
  std::size_t matched = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<Template> forms;
    for (std::size_t want = 1 + chance.below(60); forms.size() < want;) {
      std::string query = chance.below(2) > 0 ? "GET" : "mset";
      for (std::size_t i = chance.below(4); i > 0; --i) query += " " + chance.argument();
      if (auto form = read_template(query)) forms.push_back(std::move(*form));
    }
    const TemplateSet set(forms);
    for (int request = 0; request < 400; ++request) {
      Words words{chance.below(2) > 0 ? "get" : "MSET"};
      for (std::size_t i = chance.below(4); i > 0; --i) words.push_back(chance.letters(7));
      const auto expected = model_match(forms, words);
      REQUIRE(match(set, words) == expected);
      if (!expected) continue;
      ++matched;
      const std::string bytes = resp(words);
      RequestCutter cutter;
      REQUIRE(std::holds_alternative<Request>(cutter.advance(bytes)));
      std::vector<std::string_view> found;
      field_values(set.at(*expected), cutter, bytes, found);
      const Values told = *model_match(forms[*expected], words);
      for (std::size_t i = 0; i < found.size(); ++i) {
        REQUIRE(told.at(set.at(*expected).fields[i]) == found[i]);
      }
      // What is said early is what is said at the end.
      for (std::size_t size = 0; size < bytes.size(); ++size) {
        RequestCutter early;
        const std::string_view arrived = std::string_view(bytes).substr(0, size);
        (void)early.advance(arrived);
        const TemplateSet::Match now = set.match(early, arrived);
        REQUIRE(now.state != State::None);
        if (now.state == State::Found) REQUIRE(now.index == *expected);
      }
    }
  }
  CHECK(matched > 1000);
}

TEST_CASE("template set: patterns made to be slow are not") {
  // Each field could end at each of many places: a matcher that goes back would never finish.
  std::string query = "GET ";
  for (int i = 0; i < 30; ++i) query += "{{f" + std::to_string(i) + "}}a";
  std::vector<Template> forms = read_all({query + "b"});
  const TemplateSet set(std::move(forms));
  CHECK(match(set, {"GET", std::string(1 << 20, 'a')}) == std::nullopt);
  CHECK(match(set, {"GET", std::string(1 << 20, 'a') + "b"}) == 0u);
}

TEST_CASE("template set: texts that begin with each other, a thousand deep") {
  std::vector<std::string> queries;
  for (std::size_t i = 1000; i > 0; --i) queries.push_back("GET " + std::string(i, 'k') + "{{x}}");
  const TemplateSet set(read_all(queries));
  CHECK(match(set, {"GET", std::string(2000, 'k')}) == 0u);
  CHECK(match(set, {"GET", std::string(500, 'k') + "x"}) == 500u);
  CHECK(match(set, {"GET", "kx"}) == 999u);
  CHECK(match(set, {"GET", "k"}) == std::nullopt);
}

}  // namespace
}  // namespace crossfade::redis
