// Forms of texts: one for each statement, the same for texts that are kept under one key.
#include "protocols/postgres/sql_forms.h"

#include <doctest/doctest.h>

#include <string>

#include "protocols/postgres/sql_comments.h"
#include "protocols/postgres/sql_normal.h"
#include "protocols/postgres/sql_numbers.h"
#include "tests/unit/protocols/postgres/sql_samples.h"

namespace crossfade::postgres {
namespace {

constexpr SqlReading kStandard = SqlReading::Standard;

std::vector<SqlForm> forms_by(std::string_view sql) {
  SqlClassifier classifier(sample_catalog(), {}, Forms::Read);
  return classifier.facts_of(sql, kStandard)->forms;
}

FormMark mark_in(std::string_view sql) {
  NormalSql normal;
  REQUIRE(normalise(sql, normal));
  return mark_of(normal.form);
}

TEST_CASE("sql forms: each statement has the one that it has alone") {
  const FormMark one = mark_in("select a from t where b = 1");
  const FormMark other = mark_in("select 'x', \";\" from u");
  CHECK(forms_by("SELECT a FROM t WHERE b = 'x;y' ; ") == std::vector<SqlForm>{{one, false}});
  CHECK(forms_by(";;select a from t where b=$1; ;SELECT $$;$$, \";\" FROM u") ==
        std::vector<SqlForm>{{one, false}, {other, false}});
  CHECK(forms_by("/* ; */ select a from t where b = -5 -- ;\n") ==
        std::vector<SqlForm>{{one, false}});
  CHECK(forms_by("").empty());
  CHECK(forms_by(" ; ").empty());
}

TEST_CASE("sql forms: what begins and ends a block is told from the rest") {
  const auto controls = [](std::string_view sql) {
    std::string said;
    for (const SqlForm& form : forms_by(sql)) said += form.controls ? 'c' : '-';
    return said;
  };
  CHECK(controls("BEGIN READ ONLY; SELECT 1; COMMIT") == "c-c");
  CHECK(controls("START TRANSACTION;; SAVEPOINT s; SET LOCAL work_mem = 1; ROLLBACK TO s; ABORT") ==
        "c---c");
  CHECK(controls("PREPARE TRANSACTION 'x'") == "-");
}

TEST_CASE("sql forms: what is not clear has none, and so has what nobody asked for") {
  for (const char* sql : {"not SQL", "select 'a", "select {a}", "select 5abc",
                          "create rule r as on update to t do also (delete from u; select 1)"}) {
    CAPTURE(sql);
    CHECK(forms_by(sql).empty());
  }
  CHECK(forms_by("select " + std::string(40'000, '1')).empty());
  SqlClassifier classifier(sample_catalog());
  CHECK(classifier.facts_of("select 1", kStandard)->forms.empty());
}

TEST_CASE("sql forms: facts that are found again have the forms of their text") {
  SqlClassifier classifier(sample_catalog(), {}, Forms::Read);
  for (int i = 0; i < 4; ++i) {
    for (const char* sql : {"select a from t where a = 7", "select a from t where a = 8",
                            "select a from t where a = 8 /* x */", "select -7, a from t",
                            "select a -7, a from t", "select a from t where a = '7'"}) {
      CAPTURE(sql);
      const std::shared_ptr<const SqlFacts> facts = classifier.facts_of(sql, kStandard);
      std::string bare;
      REQUIRE(without_comments(sql, bare) == SqlLexis::Plain);
      CHECK(facts->forms == std::vector<SqlForm>{{mark_in(bare), false}});
    }
  }
}

TEST_CASE("sql forms: texts that differ in numbers only, as keys do, have the same") {
  const char* const numbers[] = {"0", "7", "123", "00"};
  const char* const texts[] = {
      "select # from t",    "select -#, - #, +#", "select a-#, a - #", "select #.#, .#, #.",
      "select #-#",         "select # .#",        "select #e5, #e-#",  "select (#), [#]",
      "select #, a#",       "select x'#', '#'",   "values (-#, #)",    "select $1, #",
      "select #;select -#", "select #x",          "select #+-#",       "select a<-#",
      "select a.#",         "select #..#",        "select #.e5",       "select #_#"};
  for (const std::string text : texts) {
    std::string key;
    std::string form;
    for (const char* number : numbers) {
      std::string sql = text;
      for (std::size_t at; (at = sql.find('#')) != sql.npos;) sql.replace(at, 1, number);
      CAPTURE(sql);
      std::string this_key;
      if (!with_numbers_equal(sql, this_key)) continue;
      NormalSql normal;
      const std::string this_form = normalise(sql, normal) ? normal.form : "none";
      if (key == this_key) CHECK(this_form == form);
      key = this_key;
      form = this_form;
    }
  }
}

TEST_CASE("sql forms: facts of several texts have none, EXECUTE has its own") {
  SqlClassifier classifier(sample_catalog(), {}, Forms::Read);
  SqlFacts facts = *classifier.facts_of("select a from t", kStandard);
  REQUIRE(facts.forms.size() == 1);
  add_effects(facts, *classifier.facts_of("select 1", kStandard));
  CHECK(facts.forms.empty());
  const SqlFacts prepared = *classifier.facts_of("select a from u where a = $1", kStandard);
  const SqlFacts execute = *classifier.facts_of("execute p(5)", kStandard);
  CHECK(executed(execute, prepared).forms ==
        std::vector<SqlForm>{{mark_in("execute p(1)"), false}});
}

}  // namespace
}  // namespace crossfade::postgres
