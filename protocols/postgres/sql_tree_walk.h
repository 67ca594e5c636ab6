// Expressions of SQL: what each kind of node mentions, told to a judge.
//
// The tree is walked with a list of nodes still to visit, one level at a time: however deep it is,
// the walk needs the stack of two calls.
#pragma once

#include <vector>

#include "protocols/postgres/sql_judge.h"
#include "protocols/postgres/sql_tree_nodes.h"

namespace crossfade::postgres::sql_tree {

// One statement's expressions, node by node.
class Walk {
 public:
  explicit Walk(SqlJudge& judge) : judge_(judge) {}

  template <class Any>
  void from(Any* root) {
    if (root == nullptr) return;
    left_.push_back(node_of(root));
    while (!left_.empty()) {
      Node* const node = left_.back();
      left_.pop_back();
      visit(node);
    }
  }

 private:
  void visit(Node* node);
  void visit_children(Node* node);
  void push(const void* node);
  void select(const SelectStmt& select);
  void insert(const InsertStmt& insert);
  void update(const UpdateStmt& update);
  void remove(const DeleteStmt& remove);
  void merge(const MergeStmt& merge);
  void locking(const LockingClause& clause);
  void call(const FuncCall& call);
  void sublink(const SubLink& link);
  void operation(const A_Expr& expression);
  void constant(const A_Const& constant);
  void casts_to(const TypeName* type);
  void column(const List* parts);
  void clock(const SQLValueFunction& function);

  SqlJudge& judge_;
  std::vector<Node*> left_;
};

}  // namespace crossfade::postgres::sql_tree
