// PostgreSQL's own description of its parse trees, and how our code reads a node.
//
// The headers are those of the grammar's major version, within which nodes keep their shape. Only
// data and inline functions of theirs are used here: what may raise an error is not to be called
// outside of pg_query_raw_parse, which catches.
#pragma once

#include <optional>
#include <string_view>

extern "C" {
#include <postgres.h>
// PostgreSQL's own come first.
#include <nodes/parsenodes.h>
}

#include "protocols/postgres/sql_judge.h"

namespace crossfade::postgres::sql_tree {

inline constexpr char kTemporary = 't';  // RangeVar::relpersistence; "pg_class", relpersistence

template <class NodeType, class Any>
const NodeType& as(const Any* node) {
  return *reinterpret_cast<const NodeType*>(node);
}

template <class Visit>
void each(const List* list, Visit&& visit) {
  for (int i = 0; i < list_length(list); ++i) visit(static_cast<Node*>(list_nth(list, i)));
}

template <class Any>
Node* node_of(Any* node) {
  return reinterpret_cast<Node*>(node);
}

inline std::string_view text_of(const char* text) { return text == nullptr ? "" : text; }

inline std::string_view text_of(const Node* node) {
  if (node == nullptr) return {};
  if (IsA(node, String)) return text_of(as<String>(node).sval);
  if (!IsA(node, A_Const) || as<A_Const>(node).isnull) return {};
  const auto& value = as<A_Const>(node).val;
  return value.node.type == T_String ? text_of(value.sval.sval) : std::string_view();
}

inline SqlName name_of(const List* parts) {
  const int size = list_length(parts);
  if (size == 0) return {};
  const std::string_view last = text_of(static_cast<const Node*>(list_nth(parts, size - 1)));
  if (size == 1) return {{}, last};
  return {text_of(static_cast<const Node*>(list_nth(parts, size - 2))), last};
}

inline SqlName name_of(const RangeVar& table) {
  return {text_of(table.schemaname), text_of(table.relname)};
}

// The word of an option: 1, true, on; nullopt where none is given.
inline std::optional<bool> truth_of(const Node* node) {
  if (node == nullptr) return std::nullopt;
  const Node* value = node;
  if (IsA(node, A_Const)) value = &as<A_Const>(node).val.node;
  if (IsA(value, Integer)) return as<Integer>(value).ival != 0;
  if (IsA(value, Boolean)) return as<Boolean>(value).boolval;
  const std::string_view word = text_of(value);
  if (word == "false" || word == "off" || word == "no" || word == "0") return false;
  if (word == "true" || word == "on" || word == "yes" || word == "1") return true;
  return std::nullopt;  // servers know more ways to say either
}

// The word true, which the grammar casts to bool; no more than that is taken for true.
inline bool is_true(const Node* node) {
  if (IsA(node, TypeCast)) node = as<TypeCast>(node).arg;
  if (!IsA(node, A_Const) || as<A_Const>(node).isnull) return false;
  const Node& value = as<A_Const>(node).val.node;
  return value.type == T_Boolean && as<Boolean>(&value).boolval;
}

}  // namespace crossfade::postgres::sql_tree
