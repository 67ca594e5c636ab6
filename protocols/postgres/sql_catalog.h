// What names in SQL stand for: how volatile functions and operators are, what relations hide.
//
// Read from the old server's own catalog (sql_catalog_learn.h). Without it nothing is known but a
// few functions and operators of PostgreSQL itself. A name without a schema stands for everything
// that has this name in any schema, and for the worst of it: search paths are not followed.
//
// Immutable once built; shared by all loops.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "protocols/postgres/sql_facts.h"

namespace crossfade::postgres {

enum class Volatility : std::uint8_t {
  Immutable,
  Stable,
  Drawn,    // changes nothing, whatever pg_proc says; the answer hangs on clock or chance
  Volatile  // may do anything
};

// Who made a function: what a name of PostgreSQL's own does is known, unless a user took the name.
enum class Author : std::uint8_t { System, Extension, User };

// What a function's body says of settings that it leaves behind.
enum class Sets : std::uint8_t {
  Nothing,
  Untold  // some whose names it computes, or it seeds random()
};

// Whether two servers' rows that come in other orders make it answer otherwise.
enum class Order : std::uint8_t { Free, Counts };

struct FunctionEntry {
  Volatility volatility = Volatility::Immutable;  // the worst of all overloads
  Author author = Author::System;                 // likewise
  Sets sets = Sets::Nothing;                      // likewise
  Order order = Order::Free;                      // likewise
};

// What a write to a relation does that its statement does not say.
enum class Hidden : std::uint8_t {
  Nothing,
  Cascades,  // foreign keys write other tables, equally on equal servers
  Code       // rules, triggers, views: anything
};

struct RelationEntry {
  SqlClass reading = SqlClass::PureRead;  // PureRead, VolatileRead; Unknown: reading it may write
  bool sided = false;                     // about its server: system catalogs, statistics
  bool composed = false;  // its rows are other relations', or other relations name its rows
  Hidden hidden = Hidden::Nothing;
  // Columns whose defaults the server draws (sequence, clock, chance), unless values are given.
  std::vector<std::string> drawn;
  std::vector<std::string> users = {};  // likewise: whose defaults say the user's name
  // Likewise: whose defaults run users' functions, which read who knows what.
  std::vector<std::string> reading_defaults = {};
  bool says_user = false;  // its policies, or what it is made of, do
};

// The columns of a table's primary key, in the order of their names.
struct PrimaryKey {
  struct Column {
    std::string name;
    std::uint32_t type = 0;  // OID
  };
  std::string schema;  // of the table; empty: tables of several have that name
  std::vector<Column> columns;

  // Null: it is none of them.
  const std::uint32_t* type_of(std::string_view column) const {
    const auto found = std::ranges::find(columns, column, &Column::name);
    return found == columns.end() ? nullptr : &found->type;
  }
};

using SettingNames = std::set<std::string, std::less<>>;

// Every session that goes over asks for each.
inline constexpr std::size_t kSettingsMax = 1024;

class SqlCatalog {
 public:
  // Each lookup: `schema` empty where the text names none; nullptr when nobody knows the name.
  //   cost  one hash over the name, no allocation for names of up to 126 bytes with their schema
  const FunctionEntry* function(std::string_view schema, std::string_view name) const;
  const FunctionEntry* operation(std::string_view schema, std::string_view name) const;
  const RelationEntry* relation(std::string_view schema, std::string_view name) const;
  // Null: it has none, that nobody has told, or the name alone stands for several tables that have.
  const PrimaryKey* primary_key(std::string_view schema, std::string_view name) const;
  // A cast to this type may run volatile code.
  bool is_volatile_type(std::string_view name) const;
  // A cast to this type may run a user's function, which reads who knows what.
  bool is_read_for(std::string_view type) const;
  // `row.name` may be a call of a volatile function that takes a row.
  bool is_volatile_field(std::string_view name) const;

  // There is an implicit cast by volatile code: no statement shows where it is made.
  bool has_volatile_casts() const { return casts_ == Casts::Volatile; }

  // Settings with a dot in their names that code of this database mentions; none to be counted on
  // when there are more than kSettingsMax.
  const SettingNames& settings() const { return settings_; }
  bool has_all_settings() const { return settings_.size() <= kSettingsMax; }

  // Some function computes the names of settings that it leaves behind, or seeds random().
  bool has_untold_setters() const { return setters_ == Sets::Untold; }
  // ALTER ROLE … SET or ALTER DATABASE … SET may give a session of this database settings that it
  // did not set itself: they may be others on another server.
  bool has_given_settings() const { return given_settings_ == GivenSettings::Some; }

  void add_setting(std::string_view name);
  void add_given_settings() { given_settings_ = GivenSettings::Some; }
  // Adds what a name stands for, with and without its schema; the worse of two of one name counts.
  void add_function(std::string_view schema, std::string_view name, FunctionEntry entry);
  void add_operation(std::string_view schema, std::string_view name, FunctionEntry entry);
  void add_relation(std::string_view schema, std::string_view name, const RelationEntry& entry);
  // One more; all of a table's come one after the other.
  void add_key_column(std::string_view schema, std::string_view name, PrimaryKey::Column column);
  void add_volatile_type(std::string_view name);
  void add_volatile_field(std::string_view name);
  void add_reading_cast(std::string_view type);
  void add_volatile_cast() { casts_ = Casts::Volatile; }
  // Replaces what is known of a name: the word of an operator.
  void declare_function(std::string_view schema, std::string_view name, FunctionEntry entry);
  void declare_relation(std::string_view schema, std::string_view name, const RelationEntry& entry);

  // Common functions and operators of PostgreSQL; no relations but those of its own schemas.
  static std::shared_ptr<const SqlCatalog> built_in();

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const;
  };
  template <class Entry>
  using Names = std::unordered_map<std::string, Entry, Hash, std::equal_to<>>;  // key: key_of()

  Names<FunctionEntry> functions_;
  Names<FunctionEntry> operations_;
  Names<RelationEntry> relations_;
  Names<PrimaryKey> keys_;
  SettingNames settings_;
  Sets setters_ = Sets::Nothing;  // the worst of all functions
  Names<bool> types_;
  Names<bool> fields_;
  enum class GivenSettings : std::uint8_t { None, Some } given_settings_ = GivenSettings::None;
  enum class Casts : std::uint8_t { Harmless, Volatile } casts_ = Casts::Harmless;
  Names<bool> read_for_;  // types
};

}  // namespace crossfade::postgres
