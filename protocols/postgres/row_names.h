// Rows that a statement writes, as far as its own text tells which they are, and names for them.
//
// A row is told by columns that are equal to something: constants of the text, or parameters. Such
// facts hold for one text only, values included, so no cache keeps them: they are read when they
// are wanted.
//
// A name is "t (id=7)", `s."T" (a=1, b='it''s')`: the table as the text names it, columns in the
// order of their names, values as the statement or its answer wrote them. What looks like a number
// stands bare whatever it is, so that a row has one name whether it was told by constant,
// parameter or answer; everything else is in quotes. Names are quoted that are not plain.
//
// Knows nothing of libpg_query, of messages, or of sides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "protocols/postgres/sql_catalog.h"
#include "protocols/postgres/sql_facts.h"

namespace crossfade::postgres {

inline constexpr std::size_t kRowsMax = 64;        // named, of one statement or transaction
inline constexpr std::size_t kRowColumnsMax = 8;   // that a name has
inline constexpr std::size_t kRowNameMax = 1024;   // bytes of a name
inline constexpr std::size_t kRowsTextMax = 8192;  // bytes of a text that is read for its rows

// Types whose values are known in binary, and are the same whoever wrote them.
// Source: pg_type.dat.
namespace type_oid {
inline constexpr std::uint32_t kInt8 = 20;
inline constexpr std::uint32_t kInt2 = 21;
inline constexpr std::uint32_t kInt4 = 23;
inline constexpr std::uint32_t kText = 25;
inline constexpr std::uint32_t kVarchar = 1043;
inline constexpr std::uint32_t kUuid = 2950;
}  // namespace type_oid

struct RowParameter {
  std::uint32_t number = 0;  // counts from 1
  std::uint32_t type = 0;    // that the text casts it to; 0: none
};

// A column that is equal to something.
struct RowColumn {
  std::string name;
  std::variant<std::string, RowParameter> value;
  std::uint32_t type = 0;  // of the column, an OID; 0: not known
};
using ToldRow = std::vector<RowColumn>;  // in the order of their names

// One INSERT, UPDATE or DELETE.
struct ToldRows {
  TableName table;
  std::vector<ToldRow> rows;  // at most kRowsMax + 1
  // It answers with rows that it has written, whose columns have the table's own names.
  bool returns = false;
};

// What the statements of `sql` say of the rows that they write, in their order; other statements
// are left out. Nothing for texts that are too long or not understood. WHERE tells rows when it is
// a conjunction of equalities, or has one for each column of the primary key; an UPDATE tells two
// when it gives such a column another constant. INSERT tells those whose VALUES have the primary
// key.
//   sql   as lexed with standard_conforming_strings on
//   cost  as classify()
std::vector<ToldRows> rows_told_by(std::string_view sql, const SqlCatalog& catalog);

bool is_integer_type(std::uint32_t type);

// -?[0-9]+, and with a fraction.
bool is_integer(std::string_view text);
bool is_number(std::string_view text);

// Adds a value that came in binary, as text. False: it is not known how that type is written, or it
// is not its size.
bool append_binary(std::string& to, std::uint32_t type, std::string_view bytes);
// Likewise the text alone.
std::optional<std::string> text_of_binary(std::uint32_t type, std::string_view bytes);

// Columns with their values; nullopt: NULL.
using RowValues = std::vector<std::pair<std::string_view, std::optional<std::string>>>;
// Nothing: there are none, or the name would be longer than kRowNameMax.
std::optional<std::string> row_name(const TableName& table, RowValues columns);

}  // namespace crossfade::postgres
