// Statements of SQL: what each kind does beside its expressions, told to a judge.
#pragma once

#include <memory>
#include <string_view>

#include "protocols/postgres/sql_judge.h"
#include "protocols/postgres/sql_tree_nodes.h"
#include "protocols/postgres/sql_tree_walk.h"

namespace crossfade::postgres::sql_tree {

// Statements that are not made of expressions alone.
class Statement {
 public:
  explicit Statement(SqlJudge& judge) : judge_(judge), walk_(judge) {}
  void read(Node* statement);

 private:
  using Transaction = TransactionStep;
  using Session = SessionStep;

  void query(Node* statement);
  void transaction(const TransactionStmt& statement);
  static void mode(std::string_view name, const Node* value, Transaction& step);
  static void modes(const List* options, Transaction& step);
  void set(const VariableSetStmt& statement);
  void set_several(const VariableSetStmt& statement);
  bool sets_modes(const VariableSetStmt& statement);
  void show() { judge_.is_sided(); }
  void discard(const DiscardStmt& statement);
  std::shared_ptr<const SqlFacts> facts_of(Node* statement);
  void prepare(const PrepareStmt& statement);
  void execute(const ExecuteStmt& statement);
  void declare(const DeclareCursorStmt& statement);
  void copy(const CopyStmt& statement);
  void lock(const LockStmt& statement);
  void explain(const ExplainStmt& statement);
  void create_as(const CreateTableAsStmt& statement);
  SqlFacts facts_within(Node* expression);
  void fills(Node* expression);
  void computes(Node* expression);
  void add_column(const ColumnDef& column);
  void alter_table(const AlterTableStmt& statement);
  void refresh(const RefreshMatViewStmt& statement);
  void truncate(const TruncateStmt& statement);
  void call(const CallStmt& statement);
  void run_code();
  void notify();
  void hidden_execute();
  void create_table(const CreateStmt& statement);
  void add_constraint(const Constraint& constraint);
  void names(const RangeVar* table);
  void defines(const RangeVar* table, Redefines what = Redefines::Others);
  void session(Session::What what, const char* name, Session::Scope scope = Session::Scope::Session,
               std::shared_ptr<const SqlFacts> inner = nullptr);

  SqlJudge& judge_;
  Walk walk_;
};

}  // namespace crossfade::postgres::sql_tree
