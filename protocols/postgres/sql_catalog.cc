// The catalog's names: each is kept under "name", and under "schema.name" where a schema is known.
//
// A separator that cannot be in a name keeps the two apart.
#include "protocols/postgres/sql_catalog.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "protocols/postgres/sql_functions.h"

namespace crossfade::postgres {
namespace {

constexpr char kBetween = '\0';  // no name of PostgreSQL's holds a zero byte

// "name", or "schema<zero>name"; in memory of its own where it fits.
class Key {
 public:
  Key(std::string_view schema, std::string_view name) {
    if (schema.empty()) {
      text_ = name;
      return;
    }
    const std::size_t size = schema.size() + 1 + name.size();
    char* to = near_.data();
    if (size > near_.size()) {
      far_.resize(size);
      to = far_.data();
    }
    std::memcpy(to, schema.data(), schema.size());
    to[schema.size()] = kBetween;
    if (!name.empty()) std::memcpy(to + schema.size() + 1, name.data(), name.size());
    text_ = {to, size};
  }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
  std::string_view text() const { return text_; }

 private:
  std::array<char, 127> near_;
  std::string far_;
  std::string_view text_;
};

template <class Names>
auto* find(Names& names, std::string_view schema, std::string_view name) {
  const Key key(schema, name);
  const auto found = names.find(key.text());
  return found == names.end() ? nullptr : &found->second;
}

void make_worse(FunctionEntry& entry, const FunctionEntry& other) {
  entry.volatility = std::max(entry.volatility, other.volatility);
  entry.author = std::max(entry.author, other.author);
  entry.sets = std::max(entry.sets, other.sets);
  entry.order = std::max(entry.order, other.order);
}

void make_worse(RelationEntry& entry, const RelationEntry& other) {
  entry.reading = std::max(entry.reading, other.reading);
  entry.sided |= other.sided;
  entry.composed |= other.composed;
  entry.hidden = std::max(entry.hidden, other.hidden);
  entry.drawn.insert(entry.drawn.end(), other.drawn.begin(), other.drawn.end());
  entry.users.insert(entry.users.end(), other.users.begin(), other.users.end());
  entry.reading_defaults.insert(entry.reading_defaults.end(), other.reading_defaults.begin(),
                                other.reading_defaults.end());
  entry.says_user |= other.says_user;
}

template <class Names, class Entry>
void add(Names& names, std::string_view schema, std::string_view name, const Entry& entry) {
  const auto add_one = [&](std::string_view under) {
    const auto [at, fresh] = names.try_emplace(std::string(Key(under, name).text()), entry);
    if (!fresh) make_worse(at->second, entry);
  };
  add_one("");
  if (!schema.empty()) add_one(schema);
}

template <class Names, class Entry>
void declare(Names& names, std::string_view schema, std::string_view name, const Entry& entry) {
  names.insert_or_assign(std::string(Key(schema, name).text()), entry);
}

}  // namespace

std::size_t SqlCatalog::Hash::operator()(std::string_view text) const {
  return XXH3_64bits(text.data(), text.size());
}

const FunctionEntry* SqlCatalog::function(std::string_view schema, std::string_view name) const {
  return find(functions_, schema, name);
}

const FunctionEntry* SqlCatalog::operation(std::string_view schema, std::string_view name) const {
  return find(operations_, schema, name);
}

const RelationEntry* SqlCatalog::relation(std::string_view schema, std::string_view name) const {
  static const RelationEntry system{.reading = SqlClass::VolatileRead,
                                    .sided = true,
                                    .composed = true,
                                    .hidden = Hidden::Code,
                                    .drawn = {}};
  if (const RelationEntry* const found = find(relations_, schema, name)) return found;
  return is_system_schema(schema) ? &system : nullptr;
}

const PrimaryKey* SqlCatalog::primary_key(std::string_view schema, std::string_view name) const {
  const PrimaryKey* const found = find(keys_, schema, name);
  return found == nullptr || found->schema.empty() ? nullptr : found;
}

void SqlCatalog::add_key_column(std::string_view schema, std::string_view name,
                                PrimaryKey::Column column) {
  for (const std::string_view under : {std::string_view(), schema}) {
    const auto [at, fresh] = keys_.try_emplace(std::string(Key(under, name).text()),
                                               PrimaryKey{std::string(schema), {}});
    PrimaryKey& key = at->second;
    if (key.schema != schema) {
      key.schema.clear();
      continue;
    }
    const auto after =
        std::ranges::upper_bound(key.columns, column.name, {}, &PrimaryKey::Column::name);
    key.columns.insert(after, column);
  }
}

bool SqlCatalog::is_volatile_type(std::string_view name) const {
  return !types_.empty() && types_.contains(name);
}

bool SqlCatalog::is_read_for(std::string_view type) const {
  return !read_for_.empty() && read_for_.contains(type);
}

bool SqlCatalog::is_volatile_field(std::string_view name) const {
  return !fields_.empty() && fields_.contains(name);
}

void SqlCatalog::add_function(std::string_view schema, std::string_view name, FunctionEntry entry) {
  add(functions_, schema, name, entry);
  setters_ = std::max(setters_, entry.sets);
}

void SqlCatalog::add_operation(std::string_view schema, std::string_view name,
                               FunctionEntry entry) {
  add(operations_, schema, name, entry);
}

void SqlCatalog::add_relation(std::string_view schema, std::string_view name,
                              const RelationEntry& entry) {
  add(relations_, schema, name, entry);
}

void SqlCatalog::add_volatile_type(std::string_view name) { types_.emplace(name, true); }

void SqlCatalog::add_volatile_field(std::string_view name) { fields_.emplace(name, true); }

void SqlCatalog::add_reading_cast(std::string_view type) { read_for_.emplace(type, true); }

void SqlCatalog::add_setting(std::string_view name) {
  if (has_all_settings()) settings_.emplace(name);
}

void SqlCatalog::declare_function(std::string_view schema, std::string_view name,
                                  FunctionEntry entry) {
  declare(functions_, schema, name, entry);
}

void SqlCatalog::declare_relation(std::string_view schema, std::string_view name,
                                  const RelationEntry& entry) {
  declare(relations_, schema, name, entry);
}

std::shared_ptr<const SqlCatalog> SqlCatalog::built_in() {
  static const std::shared_ptr<const SqlCatalog> catalog = [] {
    auto made = std::make_shared<SqlCatalog>();
    add_built_in(*made);
    made->add_given_settings();  // nobody has told
    return made;
  }();
  return catalog;
}

}  // namespace crossfade::postgres
