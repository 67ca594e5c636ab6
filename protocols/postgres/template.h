// A template of SQL statements: "SELECT name FROM users WHERE id = {{id}}".
//
// A field stands for one value, literal or parameter; in quotes ('{{id}}') it is the same field.
// What else is written as a value has to be written alike in a statement: `LIMIT 10` is not `LIMIT
// 11`. Blanks, comments, the case of words and a final semicolon do not matter.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/kind.h"
#include "protocols/base/result.h"
#include "protocols/base/template_text.h"
#include "protocols/postgres/sql_normal.h"

namespace crossfade::postgres {

struct Template {
  struct Value {                       // one of the normal form
    std::optional<std::size_t> field;  // index in `fields`
    std::string constant;              // where it is none
  };
  std::string sql;   // fields as parameters: the first of `fields` is $1
  std::string form;  // of that, normal: see sql_normal.h
  std::vector<Value> values;
  std::vector<std::string> fields;  // names in the order in which they first stand
};

//   errors  BadInput: what is wrong with it, without its text
Result<Template> read_template(std::string_view query);

// What its statements do, where every table is a plain one: a Write unless certainly a read.
Kind kind_of(const Template& form);

// Whether these values, of a statement of the template's form, are such as it asks for.
bool values_match(const Template& form, const std::vector<SqlValue>& values);

}  // namespace crossfade::postgres
