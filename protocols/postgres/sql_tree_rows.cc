// Rows, statement by statement.
#include "protocols/postgres/sql_tree_rows.h"

#include <algorithm>
#include <string>
#include <utility>

namespace crossfade::postgres::sql_tree {
namespace {

using Value = std::variant<std::string, RowParameter>;

bool is_own_schema(std::string_view schema) { return schema.empty() || schema == "pg_catalog"; }

// A type that values keep their text in; 0: another one, or one with a modifier.
std::uint32_t plain_type(const TypeName& type) {
  const SqlName name = name_of(type.names);
  if (type.setof || type.typmods != nullptr || type.arrayBounds != nullptr) return 0;
  if (!is_own_schema(name.schema)) return 0;
  if (name.name == "int2") return type_oid::kInt2;
  if (name.name == "int4") return type_oid::kInt4;
  if (name.name == "int8") return type_oid::kInt8;
  if (name.name == "text") return type_oid::kText;
  if (name.name == "varchar") return type_oid::kVarchar;
  return name.name == "uuid" ? type_oid::kUuid : 0;
}

std::optional<std::string> text_of_constant(const A_Const& constant) {
  if (constant.isnull) return std::nullopt;
  const Node& value = constant.val.node;
  if (value.type == T_Integer) return std::to_string(as<Integer>(&value).ival);
  if (value.type == T_Float) return std::string(text_of(as<Float>(&value).fval));
  if (value.type == T_String) return std::string(text_of(as<String>(&value).sval));
  return std::nullopt;
}

// A constant or parameter, perhaps cast to a type that leaves it as it is.
std::optional<Value> value_of(const Node* node) {
  std::uint32_t type = 0;
  if (IsA(node, TypeCast)) {
    type = plain_type(*as<TypeCast>(node).typeName);
    if (type == 0) return std::nullopt;
    node = as<TypeCast>(node).arg;
  }
  if (IsA(node, ParamRef)) {
    const int number = as<ParamRef>(node).number;
    if (number <= 0) return std::nullopt;
    return RowParameter{static_cast<std::uint32_t>(number), type};
  }
  if (!IsA(node, A_Const)) return std::nullopt;
  auto text = text_of_constant(as<A_Const>(node));
  const bool rounds = text && is_integer_type(type) && !is_integer(*text);
  if (!text || rounds) return std::nullopt;
  return *std::move(text);
}

bool has_column(const ToldRow& row, std::string_view name) {
  return std::ranges::any_of(row, [&](const RowColumn& column) { return column.name == name; });
}

bool has_all(const ToldRow& row, const PrimaryKey& key) {
  return std::ranges::all_of(key.columns,
                             [&](const auto& one) { return has_column(row, one.name); });
}

// The row as SET leaves it, where that gives its columns other constants; nothing: as it was.
std::optional<ToldRow> changed(const ToldRow& row, const List* targets) {
  ToldRow after = row;
  bool changes = false;
  bool known = true;
  each(targets, [&](Node* node) {
    const auto& target = as<ResTarget>(node);
    const auto column = std::ranges::find(after, text_of(target.name), &RowColumn::name);
    if (column == after.end()) return;
    changes = true;
    auto value = target.indirection == nullptr ? value_of(target.val) : std::nullopt;
    known &= value.has_value();
    if (value) column->value = *std::move(value);
  });
  if (!changes || !known) return std::nullopt;
  return after;
}

}  // namespace

bool Rows::read(const Node* statement) {
  switch (static_cast<int>(nodeTag(statement))) {
    case T_InsertStmt:
      insert(as<InsertStmt>(statement));
      return true;
    case T_UpdateStmt:
      update(as<UpdateStmt>(statement));
      return true;
    case T_DeleteStmt:
      remove(as<DeleteStmt>(statement));
      return true;
    default:
      return false;
  }
}

void Rows::begin(const RangeVar& table) {
  table_ = &table;
  const SqlName name = name_of(table);
  rows_.table = {std::string(name.schema), std::string(name.name)};
  key_ = catalog_.primary_key(name.schema, name.name);
}

// With other tables beside it columns are not certainly its own.
void Rows::update(const UpdateStmt& update) {
  begin(*update.relation);
  if (update.fromClause != nullptr || update.withClause != nullptr) return;
  rows_.returns = answers_own(update.returningList);
  const auto row = told_by(update.whereClause);
  if (!row) return;
  rows_.rows.push_back(*row);
  if (auto after = changed(*row, update.targetList)) rows_.rows.push_back(*std::move(after));
}

void Rows::remove(const DeleteStmt& remove) {
  begin(*remove.relation);
  if (remove.usingClause != nullptr || remove.withClause != nullptr) return;
  rows_.returns = answers_own(remove.returningList);
  if (auto row = told_by(remove.whereClause)) rows_.rows.push_back(*std::move(row));
}

void Rows::insert(const InsertStmt& insert) {
  begin(*insert.relation);
  if (insert.withClause != nullptr) return;
  rows_.returns = answers_own(insert.returningList);
  const Node* const source = insert.selectStmt;
  const bool as_given = insert.override != OVERRIDING_USER_VALUE;
  if (key_ == nullptr || source == nullptr || !IsA(source, SelectStmt) || !as_given) return;
  const auto& select = as<SelectStmt>(source);
  const bool only_values = select.valuesLists != nullptr && select.withClause == nullptr;
  if (only_values && is_by_key(insert.onConflictClause)) values(insert.cols, select);
}

// Otherwise DO UPDATE may write another row than VALUES say.
bool Rows::is_by_key(const OnConflictClause* conflict) const {
  if (conflict == nullptr || conflict->action != ONCONFLICT_UPDATE) return true;
  if (conflict->infer == nullptr) return false;
  ToldRow columns;
  bool plain = true;
  each(conflict->infer->indexElems, [&](Node* node) {
    const auto& element = as<IndexElem>(node);
    plain &= element.name != nullptr;
    columns.push_back({.name = std::string(text_of(element.name)), .value = {}});
  });
  return plain && columns.size() == key_->columns.size() && has_all(columns, *key_);
}

void Rows::values(const List* columns, const SelectStmt& values) {
  std::vector<std::string_view> names;
  each(columns, [&](Node* node) {
    const auto& column = as<ResTarget>(node);
    names.push_back(column.indirection == nullptr ? text_of(column.name) : "");
  });
  each(values.valuesLists, [&](Node* node) {
    if (rows_.rows.size() > kRowsMax) return;
    const auto& list = as<List>(node);
    ToldRow row;
    for (const PrimaryKey::Column& column : key_->columns) {
      const auto named = std::ranges::find(names, column.name);
      const auto place = named - names.begin();
      if (named == names.end() || place >= list_length(&list)) return;
      auto value = value_of(static_cast<const Node*>(list_nth(&list, static_cast<int>(place))));
      if (!value) return;
      row.push_back({column.name, *std::move(value), column.type});
    }
    rows_.rows.push_back(std::move(row));
  });
}

// Of the whole primary key: whatever else is asked, it is that row or none.
std::optional<ToldRow> Rows::told_by(const Node* where) const {
  if (where == nullptr) return std::nullopt;
  ToldRow row;
  bool all = true;
  std::vector<const Node*> asked{where};
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const Node* const node = asked[i];
    if (IsA(node, BoolExpr) && as<BoolExpr>(node).boolop == AND_EXPR) {
      each(as<BoolExpr>(node).args, [&](Node* one) { asked.push_back(one); });
      continue;
    }
    auto column = equality(node);
    all &= column.has_value();
    if (column && !has_column(row, column->name)) row.push_back(*std::move(column));
  }
  const bool by_key = key_ != nullptr && has_all(row, *key_);
  if (by_key) {
    std::erase_if(row,
                  [&](const RowColumn& column) { return key_->type_of(column.name) == nullptr; });
  } else if (!all || row.size() > kRowColumnsMax) {
    return std::nullopt;
  }
  std::ranges::sort(row, {}, &RowColumn::name);
  set_types(row);
  return row;
}

void Rows::set_types(ToldRow& row) const {
  if (key_ == nullptr) return;
  for (RowColumn& column : row) {
    if (const std::uint32_t* const type = key_->type_of(column.name)) column.type = *type;
  }
}

std::optional<RowColumn> Rows::equality(const Node* node) const {
  if (!IsA(node, A_Expr)) return std::nullopt;
  const auto& expression = as<A_Expr>(node);
  const SqlName sign = name_of(expression.name);
  const bool equals = expression.kind == AEXPR_OP && sign.name == "=" && is_own_schema(sign.schema);
  if (!equals || expression.lexpr == nullptr || expression.rexpr == nullptr) return std::nullopt;
  const Node* column = expression.lexpr;
  const Node* other = expression.rexpr;
  if (column_of(column).empty()) std::swap(column, other);
  const std::string_view name = column_of(column);
  if (name.empty()) return std::nullopt;
  auto value = value_of(other);
  if (!value) return std::nullopt;
  return RowColumn{std::string(name), *std::move(value), 0};
}

// Empty: it is no column, may be the row as a whole, or is a server's own number.
std::string_view Rows::column_of(const Node* node) const {
  if (!IsA(node, ColumnRef)) return {};
  const List* const fields = as<ColumnRef>(node).fields;
  const std::string_view name = name_of(fields).name;
  const bool alone = list_length(fields) == 1;
  const std::string_view alias = table_->alias ? text_of(table_->alias->aliasname) : "";
  const bool may_be_row = alone && (name == text_of(table_->relname) || name == alias);
  return may_be_row || is_system_column(name) ? std::string_view() : name;
}

bool Rows::answers_own(const List* returning) const {
  bool own = returning != nullptr;
  each(returning, [&](Node* node) {
    const auto& target = as<ResTarget>(node);
    if (!IsA(target.val, ColumnRef)) {
      own = false;
      return;
    }
    const auto* const last = static_cast<const Node*>(llast(as<ColumnRef>(target.val).fields));
    const std::string_view name = column_of(target.val);
    const bool renamed = target.name != nullptr && text_of(target.name) != name;
    own &= IsA(last, A_Star) || (!name.empty() && !renamed);
  });
  return own;
}

}  // namespace crossfade::postgres::sql_tree
