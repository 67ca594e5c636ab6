// Learning the catalog from a server: the query to ask it, and what its rows mean.
//
// Definitions of views, row security policies and column defaults come as SQL and are classified
// like any other, so that what hides behind a name is known.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "protocols/base/result.h"
#include "protocols/postgres/sql_catalog.h"

namespace crossfade::postgres {

// Two statements for one simple query; the rows are those of the second. For a connection of its
// own, as it empties the search path (so that definitions name their schemas). Equal catalogs give
// equal rows in one order.
//   servers  PostgreSQL 11 and later; any role
//   cost     about 3,000 rows for an empty database, 100 ms
extern const char* const kSqlCatalogQuery;

// One row, in the order of its columns.
struct SqlCatalogRow {
  // f function   o operator   r relation   d column default   t type   a attribute-like function c
  // implicit cast   s setting that function bodies mention   u function that sets settings for the
  // session   g some role or this database gives its sessions settings   k column of a primary key
  // w aggregate or window function that no one knows
  std::string_view what;
  std::string_view schema;
  std::string_view name;
  // f, o: volatility (i s v) and author (s e u); r: kind (r v m f S s) and hidden (n c x);
  // d, k: the column; u: whose names its body tells (n) or not (x)
  std::string_view mark;
  // r, d, t: SQL that is run behind the name; empty: none, d: drawn. k: OID of the column's type
  std::string_view detail;
};

// What an operator says of a function or view that the server calls volatile or hides.
struct SqlDeclared {
  enum class What : std::uint8_t { Function, Relation } what = What::Function;
  std::string schema;  // empty: for the name as it is written without one, and only so
  std::string name;
  SqlClass acts = SqlClass::PureRead;  // PureRead, VolatileRead; anything else may write
};

// Builds a catalog of the server's rows, in their order, and of what is declared.
//   errors  BadInput: a row that this query does not give
//   cost    some microseconds for each definition
Result<std::shared_ptr<const SqlCatalog>> learn_sql_catalog(std::span<const SqlCatalogRow> rows,
                                                            std::span<const SqlDeclared> declared);

}  // namespace crossfade::postgres
