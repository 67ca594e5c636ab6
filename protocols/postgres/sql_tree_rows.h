// Rows that a statement's own text tells: conjunctions of equalities, and VALUES.
//
// Whatever is not certainly understood tells none: the statement's table is suspected as a whole.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "protocols/postgres/row_names.h"
#include "protocols/postgres/sql_tree_nodes.h"

namespace crossfade::postgres::sql_tree {

// Of one statement that writes rows.
class Rows {
 public:
  // `rows` begins as it was made.
  Rows(const SqlCatalog& catalog, ToldRows& rows) : catalog_(catalog), rows_(rows) {}
  // False: it is no INSERT, UPDATE or DELETE.
  bool read(const Node* statement);

 private:
  void insert(const InsertStmt& insert);
  void update(const UpdateStmt& update);
  void remove(const DeleteStmt& remove);
  void begin(const RangeVar& table);
  bool answers_own(const List* returning) const;
  bool is_by_key(const OnConflictClause* conflict) const;
  void values(const List* columns, const SelectStmt& values);
  std::optional<ToldRow> told_by(const Node* where) const;
  std::optional<RowColumn> equality(const Node* node) const;
  std::string_view column_of(const Node* node) const;
  void set_types(ToldRow& row) const;

  const SqlCatalog& catalog_;
  ToldRows& rows_;
  const RangeVar* table_ = nullptr;
  const PrimaryKey* key_ = nullptr;  // null: not known
};

}  // namespace crossfade::postgres::sql_tree
