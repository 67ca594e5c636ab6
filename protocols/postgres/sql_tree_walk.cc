// The walk over expressions, kind by kind.
//
// raw_expression_tree_walker ends the process at nodes that it does not know, so it is asked only
// about those that it does.
#include "protocols/postgres/sql_tree_walk.h"

#include <utility>

extern "C" {
#include <nodes/nodeFuncs.h>
}

namespace crossfade::postgres::sql_tree {
namespace {

bool is_same_column(const Node* left, const Node* right) {
  if (!IsA(left, ColumnRef) || !IsA(right, ColumnRef)) return false;
  const List* const a = as<ColumnRef>(left).fields;
  const List* const b = as<ColumnRef>(right).fields;
  if (list_length(a) != list_length(b)) return false;
  for (int i = 0; i < list_length(a); ++i) {
    const auto* const name = static_cast<const Node*>(list_nth(a, i));
    const auto* const other = static_cast<const Node*>(list_nth(b, i));
    if (!IsA(name, String) || !IsA(other, String) || text_of(name) != text_of(other)) return false;
  }
  return true;
}

bool sorts_by(const List* sort, const Node* value) {
  bool found = false;
  each(sort, [&](Node* by) { found |= is_same_column(as<SortBy>(by).node, value); });
  return found;
}

// By nothing but columns and constants is told whether rows that sort alike are alike.
bool sorts_all(const FuncCall& call) {
  if (call.agg_within_group || call.agg_distinct) return true;
  bool all = call.agg_order != nullptr && call.over == nullptr;
  each(call.args,
       [&](Node* value) { all &= IsA(value, A_Const) || sorts_by(call.agg_order, value); });
  return all;
}

// Of ARRAY(SELECT a … ORDER BY a).
bool sorts_all(const SelectStmt& select) {
  bool all = select.sortClause != nullptr && select.op == SETOP_NONE;
  each(select.targetList,
       [&](Node* target) { all &= sorts_by(select.sortClause, as<ResTarget>(target).val); });
  return all;
}

// FOR UPDATE and its like, with nothing but tables in FROM. FOR KEY SHARE lets others write.
bool locks_rows(const SelectStmt& select) {
  bool locks = false;
  each(select.lockingClause, [&](Node* node) {
    const auto& clause = as<LockingClause>(node);
    locks |= clause.lockedRels == nullptr && clause.strength >= LCS_FORSHARE;
  });
  each(select.fromClause, [&](Node* from) { locks &= IsA(from, RangeVar); });
  return locks;
}

}  // namespace

void Walk::push(const void* node) {
  if (node != nullptr) left_.push_back(static_cast<Node*>(const_cast<void*>(node)));
}

void Walk::visit_children(Node* node) {
  bool (*const keep)(Node*, void*) = [](Node* child, void* left) {
    if (child != nullptr) static_cast<std::vector<Node*>*>(left)->push_back(child);
    return false;
  };
  const auto any = reinterpret_cast<void (*)()>(keep);
  raw_expression_tree_walker(node, reinterpret_cast<bool (*)()>(any), &left_);
}

void Walk::visit(Node* node) {
  switch (static_cast<int>(nodeTag(node))) {
    case T_SelectStmt:
      return select(as<SelectStmt>(node));
    case T_InsertStmt:
      return insert(as<InsertStmt>(node));
    case T_UpdateStmt:
      return update(as<UpdateStmt>(node));
    case T_DeleteStmt:
      return remove(as<DeleteStmt>(node));
    case T_MergeStmt:
      return merge(as<MergeStmt>(node));
    case T_RangeVar:
      return judge_.reads(name_of(as<RangeVar>(node)), SqlJudge::Rows::Free);
    case T_FuncCall:
      call(as<FuncCall>(node));
      break;
    case T_A_Expr:
      operation(as<A_Expr>(node));
      break;
    case T_SubLink:
      sublink(as<SubLink>(node));
      break;
    case T_SortBy:
      if (const List* const name = as<SortBy>(node).useOp) judge_.uses_operator(name_of(name));
      break;
    case T_JoinExpr:
      if (as<JoinExpr>(node).usingClause != nullptr || as<JoinExpr>(node).isNatural) {
        judge_.uses_operator({{}, "="});
      }
      break;
    case T_CaseExpr:
      if (as<CaseExpr>(node).arg != nullptr) judge_.uses_operator({{}, "="});
      break;
    case T_TypeCast:
      casts_to(as<TypeCast>(node).typeName);
      break;
    case T_ColumnDef:  // of what a function returns
      return casts_to(as<ColumnDef>(node).typeName);
    case T_RangeTableFuncCol:
      casts_to(as<RangeTableFuncCol>(node).typeName);
      break;
    case T_A_Const:
      return constant(as<A_Const>(node));
    case T_ColumnRef:
      return column(as<ColumnRef>(node).fields);
    case T_A_Indirection:
      column(as<A_Indirection>(node).indirection);
      break;
    case T_SQLValueFunction:
      return clock(as<SQLValueFunction>(node));
    case T_SetToDefault:
      return judge_.asks_default();
    case T_CurrentOfExpr:
      return judge_.is_sided();
    case T_CommonTableExpr:
      judge_.names_query(text_of(as<CommonTableExpr>(node).ctename));
      break;
    case T_LockingClause:
      return locking(as<LockingClause>(node));
    case T_WindowDef:
      // Of rows that sort alike each sees others before it.
      if ((as<WindowDef>(node).frameOptions & FRAMEOPTION_ROWS) != 0) judge_.is_drawn_in_writes();
      break;
    case T_RangeTableSample:
      judge_.is_drawn();
      break;
    case T_List:
    case T_CaseWhen:
    case T_RowExpr:
    case T_CoalesceExpr:
    case T_MinMaxExpr:
    case T_XmlExpr:
    case T_XmlSerialize:
    case T_NullTest:
    case T_BooleanTest:
    case T_BoolExpr:
    case T_NamedArgExpr:
    case T_A_Indices:
    case T_A_ArrayExpr:
    case T_ResTarget:
    case T_MultiAssignRef:
    case T_CollateClause:
    case T_RangeSubselect:
    case T_RangeFunction:
    case T_RangeTableFunc:
    case T_IndexElem:
    case T_GroupingSet:
    case T_GroupingFunc:
    case T_WithClause:
    case T_InferClause:
    case T_OnConflictClause:
    case T_MergeWhenClause:
      break;
    case T_ParamRef:
      return judge_.takes_parameter(as<ParamRef>(node).number);
    case T_TypeName:
    case T_Alias:
    case T_A_Star:
    case T_Integer:
    case T_Float:
    case T_Boolean:
    case T_String:
    case T_BitString:
      return;  // nothing below them
    default:
      return judge_.is_unread();
  }
  visit_children(node);
}

void Walk::select(const SelectStmt& select) {
  // Which rows LIMIT and DISTINCT ON keep hangs on an order that nobody asked for.
  const bool cuts =
      select.limitCount != nullptr || select.limitOffset != nullptr ||
      (select.distinctClause != nullptr && linitial(select.distinctClause) != nullptr);
  if (cuts && select.sortClause == nullptr) judge_.is_drawn();
  if (cuts) judge_.is_drawn_in_writes();
  SelectStmt rest = select;  // its children are shared
  if (const IntoClause* const into = std::exchange(rest.intoClause, nullptr)) {
    judge_.at_least(SqlClass::Ddl);
    judge_.writes();
    judge_.defines(name_of(*into->rel));
    const bool temporary = into->rel->relpersistence == kTemporary;
    if (temporary) judge_.pins(Pin::TempObject);
    if (!temporary) judge_.redefines(Redefines::Tables);
  }
  if (locks_rows(select)) {
    each(std::exchange(rest.fromClause, nullptr),
         [&](Node* table) { judge_.reads(name_of(as<RangeVar>(table)), SqlJudge::Rows::Locked); });
  }
  visit_children(node_of(&rest));
}

void Walk::insert(const InsertStmt& insert) {
  std::vector<std::string_view> columns;
  each(insert.cols, [&](Node* column) { columns.push_back(text_of(as<ResTarget>(column).name)); });
  judge_.inserts(name_of(*insert.relation), std::move(columns));
  if (insert.returningList != nullptr) judge_.is_returning();
  // DEFAULT VALUES; and instead of values that are given an identity's own are taken.
  const bool overridden = insert.override == OVERRIDING_USER_VALUE;
  if (insert.selectStmt == nullptr || overridden) judge_.asks_default();
  push(insert.cols);
  push(insert.selectStmt);
  push(insert.onConflictClause);
  push(insert.returningList);
  push(insert.withClause);
}

void Walk::update(const UpdateStmt& update) {
  judge_.changes(name_of(*update.relation));
  if (update.returningList != nullptr) judge_.is_returning();
  push(update.targetList);
  push(update.whereClause);
  push(update.fromClause);
  push(update.returningList);
  push(update.withClause);
}

void Walk::remove(const DeleteStmt& remove) {
  judge_.changes(name_of(*remove.relation));
  if (remove.returningList != nullptr) judge_.is_returning();
  push(remove.usingClause);
  push(remove.whereClause);
  push(remove.returningList);
  push(remove.withClause);
}

void Walk::merge(const MergeStmt& merge) {
  const SqlName table = name_of(*merge.relation);
  judge_.changes(table);
  each(merge.mergeWhenClauses, [&](Node* node) {
    const auto& when = as<MergeWhenClause>(node);
    if (when.commandType != CMD_INSERT) return;
    judge_.finds_absent();
    std::vector<std::string_view> columns;
    each(when.targetList,
         [&](Node* column) { columns.push_back(text_of(as<ResTarget>(column).name)); });
    judge_.inserts(table, std::move(columns));
    const bool overridden = when.override == OVERRIDING_USER_VALUE;
    if (when.values == nullptr || overridden) judge_.asks_default();
  });
  push(merge.sourceRelation);
  push(merge.joinCondition);
  push(merge.mergeWhenClauses);
  push(merge.withClause);
}

void Walk::locking(const LockingClause& clause) {
  judge_.locks(SqlLock::Rows);
  if (clause.waitPolicy != LockWaitBlock) judge_.is_drawn();
}

void Walk::call(const FuncCall& call) {
  SqlCall told{.function = name_of(call.funcname),
               .arguments = static_cast<std::size_t>(list_length(call.args)),
               .first = {},
               .sorts_all = sorts_all(call)};
  if (told.arguments > 0) {
    const auto* first = static_cast<const Node*>(linitial(call.args));
    if (IsA(first, TypeCast)) first = as<TypeCast>(first).arg;
    told.first = text_of(first);
    const auto* const last = static_cast<const Node*>(llast(call.args));
    told.last_is_true = is_true(last);
  }
  judge_.calls(told);
}

void Walk::sublink(const SubLink& link) {
  const bool lists = link.subLinkType == ARRAY_SUBLINK && IsA(link.subselect, SelectStmt);
  if (lists && !sorts_all(as<SelectStmt>(link.subselect))) judge_.is_drawn_in_writes();
  if (link.operName != nullptr) return judge_.uses_operator(name_of(link.operName));
  if (link.subLinkType == ANY_SUBLINK) judge_.uses_operator({{}, "="});  // IN (SELECT …)
}

void Walk::operation(const A_Expr& expression) {
  switch (static_cast<int>(expression.kind)) {
    case AEXPR_BETWEEN:
    case AEXPR_NOT_BETWEEN:
    case AEXPR_BETWEEN_SYM:
    case AEXPR_NOT_BETWEEN_SYM:
      judge_.uses_operator({{}, "<="});
      judge_.uses_operator({{}, ">="});
      return;
    default:
      judge_.uses_operator(name_of(expression.name));
  }
}

void Walk::constant(const A_Const& constant) {
  if (!constant.isnull && constant.val.node.type == T_String) {
    judge_.holds_text(text_of(constant.val.sval.sval));
  }
}

void Walk::casts_to(const TypeName* type) {
  if (type != nullptr && type->names != nullptr) judge_.casts_to(name_of(type->names).name);
}

void Walk::column(const List* parts) {
  each(parts, [&](Node* part) {
    if (IsA(part, String)) judge_.selects_field(text_of(part));
  });
}

void Walk::clock(const SQLValueFunction& function) {
  switch (static_cast<int>(function.op)) {
    case SVFOP_CURRENT_ROLE:
    case SVFOP_CURRENT_USER:
    case SVFOP_USER:
    case SVFOP_SESSION_USER:
      judge_.says_user();
      return judge_.is_drawn_in_writes();  // a side may be entered as another user
    case SVFOP_CURRENT_CATALOG:
    case SVFOP_CURRENT_SCHEMA:
      return;
    default:
      judge_.is_drawn();
  }
}

}  // namespace crossfade::postgres::sql_tree
