// Which texts move: all that they say has to match templates that do, the first of each.
#include "strategies/sql_api_set.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <memory>
#include <string>

#include "protocols/postgres/sql_classify.h"

namespace crossfade {
namespace {

class Scene {
 public:
  explicit Scene(std::vector<SqlApiSet::Entry> entries) : set_(std::move(entries)) {}

  bool moves(std::initializer_list<std::string_view> texts) {
    postgres::SaidTexts said;
    std::vector<std::shared_ptr<const postgres::SqlFacts>> facts;
    for (const std::string_view text : texts) {
      facts.push_back(classifier_.facts_of(text, postgres::SqlReading::Standard));
      said.push_back({facts.back().get(), text});
    }
    return set_.moves(said, scratch_);
  }
  bool moves(std::string_view text) { return moves({text}); }
  // As new gets it; "" where that is as it is.
  std::string rendered(std::string_view text) {
    const auto facts = classifier_.facts_of(text, postgres::SqlReading::Standard);
    std::string out = "of before";
    return set_.render({facts.get(), text}, scratch_, out) ? out : "";
  }
  std::string api() const { return scratch_.api ? set_.names().names()[*scratch_.api] : ""; }
  bool met_other_forms() const { return scratch_.anew; }
  // Of a statement whose text is not kept.
  bool moves_unseen(std::string_view text) {
    const auto facts = classifier_.facts_of(text, postgres::SqlReading::Standard);
    return set_.moves({{facts.get(), {}}}, scratch_);
  }

 private:
  SqlApiSet set_;
  SqlApiSet::Scratch scratch_;
  postgres::SqlClassifier classifier_{postgres::SqlCatalog::built_in(), {}, postgres::Forms::Read};
};

TEST_CASE("sql api set: a statement moves when the first template that it matches does") {
  Scene scene({{"SELECT a FROM users WHERE id = 1", false},
               {"SELECT a FROM users WHERE id = {{id}}", true},
               {"SELECT a FROM orders WHERE id = {{id}}", false},
               {"SELECT a FROM orders WHERE id = 1", true},
               {"UPDATE users SET a = {{a}} WHERE id = {{id}}", true}});
  CHECK(scene.moves("select a from users where id = 2"));
  CHECK(scene.moves("SELECT a /* traced */ FROM Users WHERE id = '1';"));
  CHECK(scene.moves("SELECT a FROM users WHERE id = '1' /* traced */"));
  CHECK(scene.moves("SELECT a FROM users WHERE id = '1'/* traced */;"));
  CHECK(scene.moves("select a from users where id = $1"));
  CHECK(scene.moves("update users set a = 'x' where id = 1"));
  for (const char* stays :
       {"select a from users where id = 1", "select a from users where id = 1 -- traced",
        "select a from orders where id = 1", "select a from orders where id = 2",
        "select a from users", "select a from users where id = 2 or id = 3", "", "not SQL",
        "select a from users where id = 'open"}) {
    CAPTURE(stays);
    CHECK_FALSE(scene.moves(stays));
  }
  CHECK_FALSE(Scene({}).moves("select a from users where id = 2"));
}

TEST_CASE("sql api set: what was asked is of the api of the first statement that is of one") {
  Scene scene({{"SELECT a FROM t WHERE id = 1", false, {}, {}, "one"},
               {"SELECT a FROM t WHERE id = {{id}}", true, {}, {}, "all"},
               {"SELECT a FROM u", false, {}, {}, "one"}});
  const auto api_of = [&](std::initializer_list<std::string_view> texts) {
    static_cast<void>(scene.moves(texts));
    return scene.api();
  };
  CHECK(api_of({"select a from t where id = 2"}) == "all");
  CHECK(api_of({"select a from t where id = 1"}) == "one");
  CHECK(api_of({"begin; select a from u; commit"}) == "one");
  CHECK(api_of({"select a from t where id = 2", "select a from u"}) == "all");
  CHECK(api_of({"select a from none"}).empty());
  CHECK(api_of({""}).empty());
}

TEST_CASE("sql api set: all statements of all texts have to move, and one at least") {
  Scene scene({{"SELECT a FROM t WHERE b = {{x}}", true}, {"SELECT a FROM u LIMIT 5", true}});
  CHECK(scene.moves("select a from t where b = 1; select a from u limit 5;;"));
  CHECK(scene.moves(";; select a from u limit 5"));
  CHECK(scene.moves({"select a from t where b = $1", "select a from u limit 5"}));
  CHECK(scene.moves("begin read only; select a from u limit 5; commit"));
  CHECK(scene.moves({"begin", "select a from t where b = 1", "commit"}));
  for (const char* stays :
       {"select a from t where b = 1; select a from u limit 6",
        "select a from u limit 5; select a from u", "begin read only; commit", "commit", ";",
        "begin; set local work_mem = 1; select a from u limit 5; commit"}) {
    CAPTURE(stays);
    CHECK_FALSE(scene.moves(stays));
  }
  CHECK_FALSE(scene.moves({"select a from t where b = 1", "select a from v"}));
  CHECK_FALSE(scene.moves({"select a from t where b = 1", ""}));
  CHECK_FALSE(scene.moves(std::initializer_list<std::string_view>{}));
}

TEST_CASE("sql api set: statements that new has in another form are written so, and no others") {
  using Fields = redis::Rendering::Fields;
  Scene scene({{"SELECT a FROM secrets WHERE id = 1", true},
               {"SELECT a FROM t WHERE id = 9", false, "SELECT a FROM idle", {}},
               {"SELECT a FROM t WHERE id = {{id}}", true, "SELECT b AS a FROM u WHERE k={{key}};",
                Fields{{"key", "id"}}},
               {"SELECT a FROM t LIMIT 5", true, "SELECT b AS a FROM u LIMIT 5"}});
  CHECK(scene.rendered("select a from t where id = 7") == "SELECT b AS a FROM u WHERE k= 7");
  CHECK(scene.rendered("/* who */ select a from t where id=$1; -- x") ==
        "SELECT b AS a FROM u WHERE k= $1");
  CHECK(scene.rendered("select a from t limit 5") == "SELECT b AS a FROM u LIMIT 5");
  CHECK(scene.rendered("begin; select a from t where id = ';' ;; select 'it;s' ; commit") ==
        "begin; SELECT b AS a FROM u WHERE k= ';';  select 'it;s' ;  commit");
  for (const char* same :
       {"select a from t where id = 9", "select a from t limit 6",
        "select a from secrets where id = 1", "select a from t", "begin", "", "not SQL",
        "prepare p as select a from t limit 5",
        "create function f() returns int begin atomic select a from t limit 5; select 1; end"}) {
    CAPTURE(same);
    CHECK(scene.rendered(same).empty());
  }
  CHECK(scene.moves("select a from t where id = 7"));
  CHECK(scene.met_other_forms());
  CHECK(scene.moves("select a from secrets where id = 1"));
  CHECK_FALSE(scene.met_other_forms());
  CHECK(scene.moves({"select a from secrets where id = 1", "select a from t limit 5"}));
  CHECK(scene.met_other_forms());
}

TEST_CASE("sql api set: what can not be written anew as it is to be does not move") {
  Scene scene({{"SELECT a FROM t WHERE id = {{id}}", true, "SELECT a FROM u", {}}});
  CHECK_FALSE(scene.moves("select a from t where id = 7"));
  CHECK(scene.rendered("select a from t where id = 7").empty());
}

TEST_CASE("sql api set: a value of a text that is not kept is none") {
  Scene scene({{"SELECT a FROM t WHERE b = {{x}}", true}, {"SELECT a FROM u LIMIT 5", true}});
  CHECK(scene.moves_unseen("select a from t where b = 7"));
  CHECK_FALSE(scene.moves_unseen("select a from u limit 5"));
}

TEST_CASE("sql api set: texts whose numbers differ are told apart, however they are kept") {
  Scene scene({{"SELECT a FROM t LIMIT 10", true}, {"SELECT a FROM t LIMIT {{n}}", false}});
  for (int round = 0; round < 4; ++round) {
    CHECK(scene.moves("select a from t limit 10"));
    CHECK_FALSE(scene.moves("select a from t limit 11"));
    CHECK_FALSE(scene.moves("select a from t limit $1"));
  }
}

}  // namespace
}  // namespace crossfade
