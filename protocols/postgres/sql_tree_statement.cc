// Statements, kind by kind: transactions, session, cursors, COPY, locks, definitions.
#include "protocols/postgres/sql_tree_statement.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "protocols/base/ascii.h"

namespace crossfade::postgres::sql_tree {

void Statement::session(Session::What what, const char* name, Session::Scope scope,
                        std::shared_ptr<const SqlFacts> inner) {
  judge_.at_least(SqlClass::SessionState);
  judge_.step(Session{.what = what,
                      .scope = scope,
                      .name = std::string(text_of(name)),
                      .text = std::string(judge_.text()),
                      .inner = std::move(inner)});
}

void Statement::query(Node* statement) {
  const bool sorted = IsA(statement, SelectStmt) && as<SelectStmt>(statement).sortClause != nullptr;
  if (sorted) judge_.is_sorted();
  walk_.from(statement);
}

void Statement::mode(std::string_view name, const Node* value, Transaction& step) {
  if (name == "transaction_isolation") {
    const std::string_view level = text_of(value);
    using enum Transaction::Isolation;
    step.isolation = level == "serializable"       ? Serializable
                     : level == "repeatable read"  ? RepeatableRead
                     : level == "read uncommitted" ? ReadUncommitted
                                                   : ReadCommitted;
  }
  if (name == "transaction_read_only") {
    const bool yes = truth_of(value).value_or(false);
    step.access = yes ? Transaction::Access::ReadOnly : Transaction::Access::ReadWrite;
  }
  if (name == "transaction_deferrable") {
    const bool yes = truth_of(value).value_or(true);
    step.deferral = yes ? Transaction::Deferral::Deferrable : Transaction::Deferral::NotDeferrable;
  }
}

void Statement::modes(const List* options, Transaction& step) {
  each(options, [&](Node* option) {
    mode(text_of(as<DefElem>(option).defname), as<DefElem>(option).arg, step);
  });
}

void Statement::transaction(const TransactionStmt& statement) {
  judge_.at_least(SqlClass::Transaction);
  Transaction step{.chain = statement.chain,
                   .name = std::string(text_of(statement.savepoint_name))};
  if (statement.gid != nullptr) step.name = statement.gid;
  modes(statement.options, step);
  using enum Transaction::What;
  switch (statement.kind) {
    case TRANS_STMT_BEGIN:
    case TRANS_STMT_START:
      step.what = Begin;
      break;
    case TRANS_STMT_COMMIT:
      step.what = Commit;
      break;
    case TRANS_STMT_ROLLBACK:
      step.what = Rollback;
      break;
    case TRANS_STMT_SAVEPOINT:
      step.what = Savepoint;
      break;
    case TRANS_STMT_RELEASE:
      step.what = Release;
      break;
    case TRANS_STMT_ROLLBACK_TO:
      step.what = RollbackTo;
      break;
    case TRANS_STMT_PREPARE:
      step.what = Prepare;
      break;
    case TRANS_STMT_COMMIT_PREPARED:
      step.what = CommitPrepared;
      break;
    case TRANS_STMT_ROLLBACK_PREPARED:
      step.what = RollbackPrepared;
      break;
  }
  // Prepared transactions are data of one server, written by whoever wrote them.
  if (statement.gid != nullptr) {
    judge_.is_sided();
    judge_.writes_unseen();
  }
  judge_.step(std::move(step));
}

// SET transaction_read_only = on and its like speak of the transaction, not of the session.
bool Statement::sets_modes(const VariableSetStmt& statement) {
  const std::string name = ascii_lower(std::string(text_of(statement.name)));
  if (name != "transaction_read_only" && name != "transaction_isolation" &&
      name != "transaction_deferrable") {
    return false;
  }
  Transaction step;
  step.what = Transaction::What::SetModes;
  if (statement.kind == VAR_SET_VALUE && statement.args != nullptr) {
    mode(name, static_cast<const Node*>(linitial(statement.args)), step);
  } else if (name == "transaction_read_only") {
    step.access = Transaction::Access::ReadWrite;  // its default, which nobody here knows
  }
  judge_.at_least(SqlClass::Transaction);
  judge_.step(std::move(step));
  return true;
}

void Statement::set_several(const VariableSetStmt& statement) {
  const std::string_view name = text_of(statement.name);
  if (name == "SESSION CHARACTERISTICS") return session(Session::What::Set, statement.name);
  judge_.at_least(SqlClass::Transaction);
  Transaction step;
  step.what = Transaction::What::SetModes;
  if (name == "TRANSACTION") {
    modes(statement.args, step);
  } else {
    judge_.is_sided();  // TRANSACTION SNAPSHOT: of one server
  }
  judge_.step(std::move(step));
}

void Statement::set(const VariableSetStmt& statement) {
  if (sets_modes(statement)) return;
  const auto scope = statement.is_local ? Session::Scope::Transaction : Session::Scope::Session;
  switch (statement.kind) {
    case VAR_SET_MULTI:
      return set_several(statement);
    case VAR_SET_VALUE:
    case VAR_SET_CURRENT:
      return session(Session::What::Set, statement.name, scope);
    case VAR_SET_DEFAULT:
    case VAR_RESET:
      return session(Session::What::Reset, statement.name, scope);
    case VAR_RESET_ALL:
      return session(Session::What::ResetAll, nullptr);
  }
}

void Statement::discard(const DiscardStmt& statement) {
  switch (statement.target) {
    case DISCARD_ALL:
      return session(Session::What::DiscardAll, nullptr);
    case DISCARD_PLANS:
      return session(Session::What::DiscardPlans, nullptr);
    case DISCARD_SEQUENCES:
      return session(Session::What::DiscardSequences, nullptr);
    case DISCARD_TEMP:
      return session(Session::What::DiscardTemp, nullptr);
  }
}

// Of a query that is run later.
std::shared_ptr<const SqlFacts> Statement::facts_of(Node* statement) {
  SqlJudge inner(judge_.catalog());
  inner.begin_statement(judge_.text());
  Statement(inner).query(statement);
  inner.end_statement();
  return std::make_shared<const SqlFacts>(inner.take());
}

void Statement::prepare(const PrepareStmt& statement) {
  session(Session::What::Prepare, statement.name, Session::Scope::Session,
          facts_of(statement.query));
}

void Statement::execute(const ExecuteStmt& statement) {
  SqlJudge inner(judge_.catalog());
  inner.begin_statement(judge_.text());
  Walk(inner).from(statement.params);
  inner.end_statement();
  session(Session::What::Execute, statement.name, Session::Scope::Session,
          std::make_shared<const SqlFacts>(inner.take()));
  judge_.is_unread();
}

// EXECUTE inside of another statement: nobody looks up what it runs.
void Statement::hidden_execute() { judge_.is_unread(); }

void Statement::declare(const DeclareCursorStmt& statement) {
  const bool hold = (statement.options & CURSOR_OPT_HOLD) != 0;
  if (hold) judge_.pins(Pin::HoldCursor);
  session(hold ? Session::What::DeclareHold : Session::What::Declare, statement.portalname,
          hold ? Session::Scope::Session : Session::Scope::Transaction, facts_of(statement.query));
  query(statement.query);
}

void Statement::copy(const CopyStmt& statement) {
  CopyStep step{.way = statement.is_from ? CopyStep::Way::From : CopyStep::Way::To,
                .place = statement.is_program            ? CopyStep::Place::Program
                         : statement.filename != nullptr ? CopyStep::Place::File
                                                         : CopyStep::Place::Client,
                .table = {}};
  judge_.at_least(SqlClass::Copy);
  if (step.place != CopyStep::Place::Client) {  // reads or writes what is on the server's machine
    judge_.is_sided();
    judge_.writes();
  }
  if (statement.relation != nullptr) {
    const SqlName table = name_of(*statement.relation);
    step.table = {std::string(table.schema), std::string(table.name)};
    if (statement.is_from) {
      std::vector<std::string_view> columns;
      each(statement.attlist, [&](Node* column) { columns.push_back(text_of(column)); });
      judge_.inserts(table, std::move(columns));
    } else {
      judge_.reads(table, SqlJudge::Rows::Free);
    }
  }
  walk_.from(statement.query);
  walk_.from(statement.whereClause);
  judge_.hides_parameters();
  judge_.step(std::move(step));
}

void Statement::lock(const LockStmt& statement) {
  judge_.locks(SqlLock::Table);
  walk_.from(statement.relations);
}

// Its answer is the plan of one server. Without ANALYZE nothing is run.
void Statement::explain(const ExplainStmt& statement) {
  judge_.is_sided();
  judge_.hides_parameters();
  bool runs = false;
  each(statement.options, [&](Node* node) {
    const auto& option = as<DefElem>(node);
    runs |= text_of(option.defname) == "analyze" && truth_of(option.arg).value_or(true);
  });
  if (runs) read(statement.query);
}

void Statement::create_as(const CreateTableAsStmt& statement) {
  judge_.at_least(SqlClass::Ddl);
  judge_.writes();
  defines(statement.into->rel, Redefines::Tables);
  if (IsA(statement.query, ExecuteStmt)) return hidden_execute();
  walk_.from(statement.query);
}

// A definition stays one whatever its expressions call. The text is looked through by the statement
// around them, and not once for each.
SqlFacts Statement::facts_within(Node* expression) {
  SqlJudge inner(judge_.catalog());
  inner.begin_statement({});
  Walk(inner).from(expression);
  inner.end_statement();
  return inner.take();
}

// Only whether two servers draw alike counts.
void Statement::fills(Node* expression) {
  const SqlFacts facts = facts_within(expression);
  if (!facts.deterministic) judge_.is_drawn();
  if (facts.says_user) judge_.says_user();
}

// Later writes to the table will.
void Statement::computes(Node* expression) {
  const SqlFacts facts = facts_within(expression);
  const bool alike = facts.deterministic && !facts.says_user;
  if (!alike || facts.leans) judge_.redefines(Redefines::Tables);
}

// Rows that are there already get a value.
void Statement::add_column(const ColumnDef& column) {
  const std::string_view type =
      column.typeName == nullptr ? std::string_view() : name_of(column.typeName->names).name;
  const bool serial = type.starts_with("serial") || type == "bigserial" || type == "smallserial";
  if (serial) judge_.is_drawn();
  fills(column.raw_default);
  if (serial) judge_.redefines(Redefines::Tables);
  computes(column.raw_default);
  each(column.constraints, [&](Node* node) {
    const auto& constraint = as<Constraint>(node);
    add_constraint(constraint);
    if (constraint.contype == CONSTR_IDENTITY) judge_.is_drawn();
    const bool gives =
        constraint.contype == CONSTR_DEFAULT || constraint.contype == CONSTR_GENERATED;
    if (gives) fills(constraint.raw_expr);
  });
}

// What it makes a write to its table do, or to the one that it refers to.
void Statement::add_constraint(const Constraint& constraint) {
  const auto acts = [](char action) { return action != '\0' && action != 'a' && action != 'r'; };
  switch (static_cast<int>(constraint.contype)) {
    case CONSTR_NULL:
    case CONSTR_NOTNULL:
    case CONSTR_PRIMARY:
    case CONSTR_UNIQUE:
    case CONSTR_EXCLUSION:
    case CONSTR_ATTR_DEFERRABLE:
    case CONSTR_ATTR_NOT_DEFERRABLE:
    case CONSTR_ATTR_DEFERRED:
    case CONSTR_ATTR_IMMEDIATE:
      return;
    case CONSTR_CHECK:
    case CONSTR_DEFAULT:
    case CONSTR_GENERATED:
      return computes(constraint.raw_expr);
    case CONSTR_FOREIGN:  // "pg_constraint", confdeltype
      if (acts(constraint.fk_del_action) || acts(constraint.fk_upd_action)) {
        judge_.redefines(Redefines::Others);
        names(constraint.pktable);
      }
      return;
    default:
      judge_.redefines(Redefines::Tables);
  }
}

void Statement::create_table(const CreateStmt& statement) {
  const bool alone = statement.inhRelations == nullptr && statement.partbound == nullptr;
  defines(statement.relation, alone ? Redefines::Tables : Redefines::Others);
  const auto look = [&](Node* node) {
    if (IsA(node, Constraint)) return add_constraint(as<Constraint>(node));
    if (!IsA(node, ColumnDef)) return;
    each(as<ColumnDef>(node).constraints,
         [&](Node* constraint) { add_constraint(as<Constraint>(constraint)); });
  };
  each(statement.tableElts, look);
  each(statement.inhRelations, [&](Node* parent) { names(&as<RangeVar>(parent)); });
}

// Another table that means another thing afterwards.
void Statement::names(const RangeVar* table) {
  if (table != nullptr) judge_.defines(name_of(*table));
}

void Statement::alter_table(const AlterTableStmt& statement) {
  defines(statement.relation, Redefines::Nothing);
  each(statement.cmds, [&](Node* node) {
    const auto& command = as<AlterTableCmd>(node);
    const bool column = command.def != nullptr && IsA(command.def, ColumnDef);
    switch (static_cast<int>(command.subtype)) {
      case AT_AddColumn:
        if (column) add_column(as<ColumnDef>(command.def));
        return;
      case AT_AlterColumnType:
        if (column) fills(as<ColumnDef>(command.def).raw_default);  // USING
        return;
      case AT_AddConstraint:
        if (command.def != nullptr && IsA(command.def, Constraint)) {
          return add_constraint(as<Constraint>(command.def));
        }
        return judge_.redefines(Redefines::Others);
      case AT_DropNotNull:
      case AT_SetNotNull:
      case AT_SetStatistics:
      case AT_SetStorage:
      case AT_SetCompression:
      case AT_DropColumn:
      case AT_DropConstraint:
      case AT_DropIdentity:
      case AT_ValidateConstraint:
      case AT_ClusterOn:
      case AT_DropCluster:
      case AT_SetLogged:
      case AT_SetUnLogged:
      case AT_SetRelOptions:
      case AT_ResetRelOptions:
        return;
      case AT_ColumnDefault:  // null: none any more
        return computes(command.def);
      case AT_AddIdentity:
        return judge_.redefines(Redefines::Tables);
      case AT_AddInherit:
      case AT_DropInherit:
        names(&as<RangeVar>(command.def));
        return judge_.redefines(Redefines::Others);
      case AT_AttachPartition:
      case AT_DetachPartition:
        names(as<PartitionCmd>(command.def).name);
        return judge_.redefines(Redefines::Others);
      default:
        return judge_.redefines(Redefines::Others);
    }
  });
}

// The catalog does not tell what it is filled from.
void Statement::refresh(const RefreshMatViewStmt& statement) {
  defines(statement.relation, Redefines::Nothing);
  if (!statement.skipData) judge_.is_drawn();
}

void Statement::truncate(const TruncateStmt& statement) {
  each(statement.relations, [&](Node* table) { judge_.changes(name_of(as<RangeVar>(table))); });
  if (statement.behavior == DROP_CASCADE) judge_.writes_unseen();
}

void Statement::call(const CallStmt& statement) {
  judge_.hides_code();
  judge_.commits_unseen();
  walk_.from(statement.funccall);
}

// Whatever its language, code that ends a transaction says so, or what it calls does (EXECUTE can
// not); a backslash may hide anything.
void Statement::run_code() {
  judge_.hides_code();
  constexpr std::string_view kWays[] = {"commit", "rollback", "call", "\\"};
  if (std::ranges::any_of(kWays, [this](std::string_view way) { return judge_.says(way); })) {
    judge_.commits_unseen();
  }
}

void Statement::notify() { judge_.writes(); }

// Temporary tables are in no catalog.
void Statement::defines(const RangeVar* table, Redefines what) {
  const bool temporary = table != nullptr && table->relpersistence == kTemporary;
  if (!temporary || what == Redefines::Others) judge_.redefines(what);
  judge_.at_least(SqlClass::Ddl);
  judge_.writes_unseen();
  if (table == nullptr) return;
  judge_.defines(name_of(*table));
  if (table->relpersistence == kTemporary) judge_.pins(Pin::TempObject);
}

void Statement::read(Node* node) {
  switch (static_cast<int>(nodeTag(node))) {
    case T_SelectStmt:
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
      return query(node);
    case T_TransactionStmt:
      return transaction(as<TransactionStmt>(node));
    case T_VariableSetStmt:
      return set(as<VariableSetStmt>(node));
    case T_VariableShowStmt:
      return show();
    case T_DiscardStmt:
      return discard(as<DiscardStmt>(node));
    case T_PrepareStmt:
      return prepare(as<PrepareStmt>(node));
    case T_ExecuteStmt:
      return execute(as<ExecuteStmt>(node));
    case T_DeallocateStmt:
      return session(Session::What::Deallocate, as<DeallocateStmt>(node).name);
    case T_ListenStmt:
      judge_.pins(Pin::Listen);
      return session(Session::What::Listen, as<ListenStmt>(node).conditionname);
    case T_UnlistenStmt:
      return session(Session::What::Unlisten, as<UnlistenStmt>(node).conditionname);
    case T_NotifyStmt:
      return notify();
    case T_DeclareCursorStmt:
      return declare(as<DeclareCursorStmt>(node));
    case T_FetchStmt:
      return session(as<FetchStmt>(node).ismove ? Session::What::Move : Session::What::Fetch,
                     as<FetchStmt>(node).portalname);
    case T_ClosePortalStmt:
      return session(Session::What::Close, as<ClosePortalStmt>(node).portalname);
    case T_LoadStmt:
      return session(Session::What::Load, as<LoadStmt>(node).filename);
    case T_ConstraintsSetStmt:
      return session(Session::What::SetConstraints, nullptr, Session::Scope::Transaction);
    case T_CopyStmt:
      return copy(as<CopyStmt>(node));
    case T_LockStmt:
      return lock(as<LockStmt>(node));
    case T_ExplainStmt:
      return explain(as<ExplainStmt>(node));
    case T_CreateTableAsStmt:
      return create_as(as<CreateTableAsStmt>(node));
    case T_TruncateStmt:
      return truncate(as<TruncateStmt>(node));
    case T_CallStmt:
      return call(as<CallStmt>(node));
    case T_DoStmt:
      return run_code();
    case T_CreateStmt:
      return create_table(as<CreateStmt>(node));
    case T_ViewStmt:
      return defines(as<ViewStmt>(node).view);
    case T_CreateSeqStmt:
      return defines(as<CreateSeqStmt>(node).sequence, Redefines::Nothing);
    case T_AlterTableStmt:
      return alter_table(as<AlterTableStmt>(node));
    case T_IndexStmt:
      return defines(as<IndexStmt>(node).relation, Redefines::Nothing);
    case T_CreateTrigStmt:
      return defines(as<CreateTrigStmt>(node).relation);
    case T_RuleStmt:
      return defines(as<RuleStmt>(node).relation);
    case T_CreatePolicyStmt:
      return defines(as<CreatePolicyStmt>(node).table);
    case T_DropStmt:  // the catalog knows the worst of all that has a name
    case T_CommentStmt:
    case T_GrantStmt:
    case T_GrantRoleStmt:
    case T_VacuumStmt:
    case T_ClusterStmt:
    case T_ReindexStmt:
    case T_CheckPointStmt:
    case T_AlterSeqStmt:
    case T_CreateStatsStmt:
      return defines(nullptr, Redefines::Nothing);
    case T_RefreshMatViewStmt:
      return refresh(as<RefreshMatViewStmt>(node));
    default:
      // All other statements define something, or tend to how it is stored.
      return defines(nullptr);
  }
}

}  // namespace crossfade::postgres::sql_tree
