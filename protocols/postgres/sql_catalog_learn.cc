// From a server's rows to a catalog: names first, then what hides behind them.
//
// A view may stand on views that come later (CREATE OR REPLACE). Those that are not understood yet
// are tried again as long as a round has understood another one.
#include "protocols/postgres/sql_catalog_learn.h"

#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "protocols/postgres/sql_classify.h"
#include "protocols/postgres/sql_glance.h"

namespace crossfade::postgres {
namespace {

constexpr std::size_t kDefinitionMax = 1 << 20;  // bytes of one view's SQL
constexpr const char* kDoing = "read the catalog";

Error broken(const SqlCatalogRow& row) {
  return {Errc::BadInput, kDoing,
          "a row of kind '" + std::string(row.what) + "', mark '" + std::string(row.mark) + "'"};
}

std::optional<Volatility> volatility_of(char mark) {
  if (mark == 'i') return Volatility::Immutable;
  if (mark == 's') return Volatility::Stable;
  if (mark == 'v') return Volatility::Volatile;
  return std::nullopt;
}

std::optional<Author> author_of(char mark) {
  if (mark == 's') return Author::System;
  if (mark == 'e') return Author::Extension;
  if (mark == 'u') return Author::User;
  return std::nullopt;
}

std::optional<Hidden> hidden_of(char mark) {
  if (mark == 'n') return Hidden::Nothing;
  if (mark == 'c') return Hidden::Cascades;
  if (mark == 'x') return Hidden::Code;
  return std::nullopt;
}

class Learner {
 public:
  Status learn(std::span<const SqlCatalogRow> rows, std::span<const SqlDeclared> declared) {
    for (const SqlCatalogRow& row : rows) {
      if (!take(row)) return broken(row);
    }
    declare(declared);  // what is declared may explain a view
    while (settle_round()) {
    }
    for (const SqlCatalogRow& row : unsettled_) add_relation(row, SqlClass::Unknown);
    declare(declared);
    return success();
  }

  std::shared_ptr<const SqlCatalog> done() { return std::move(catalog_); }

 private:
  void declare(std::span<const SqlDeclared> declared) {
    for (const SqlDeclared& one : declared) declare(one);
  }

  void declare(const SqlDeclared& declared) {
    if (declared.what == SqlDeclared::What::Relation) {
      const bool reads = declared.acts <= SqlClass::VolatileRead;
      catalog_->declare_relation(declared.schema, declared.name,
                                 {.reading = reads ? declared.acts : SqlClass::Unknown,
                                  .composed = true,
                                  .hidden = Hidden::Code,
                                  .drawn = {}});
      return;
    }
    const Volatility volatility = declared.acts == SqlClass::PureRead       ? Volatility::Stable
                                  : declared.acts == SqlClass::VolatileRead ? Volatility::Drawn
                                                                            : Volatility::Volatile;
    catalog_->declare_function(declared.schema, declared.name,
                               {volatility, Author::User, Sets::Nothing});
  }

  bool take(const SqlCatalogRow& row) {
    if (row.what == "f" || row.what == "o") return take_function(row);
    if (row.what == "r") return take_relation(row);
    if (row.what == "d") return take_default(row);
    if (row.what == "t") return take_type(row);
    if (row.what == "a") {
      catalog_->add_volatile_field(row.name);
      return true;
    }
    if (row.what == "s") {
      catalog_->add_setting(row.name);
      return true;
    }
    if (row.what == "g") {
      catalog_->add_given_settings();
      return true;
    }
    if (row.what == "u") return take_setter(row);
    if (row.what == "k") return take_key(row);
    if (row.what == "x") {
      catalog_->add_reading_cast(row.name);
      return true;
    }
    if (row.what == "w") {  // immutable: the function's own row says what it is besides
      catalog_->add_function(row.schema, row.name, {.order = Order::Counts});
      return true;
    }
    if (row.what != "c") return false;
    catalog_->add_volatile_cast();
    return true;
  }

  // Whatever volatility it was given.
  bool take_setter(const SqlCatalogRow& row) {
    if (row.mark != "n" && row.mark != "x") return false;
    catalog_->add_function(row.schema, row.name,
                           {.volatility = Volatility::Volatile,
                            .author = Author::User,
                            .sets = row.mark == "x" ? Sets::Untold : Sets::Nothing});
    return true;
  }

  bool take_key(const SqlCatalogRow& row) {
    std::uint32_t type = 0;
    const char* const end = row.detail.data() + row.detail.size();
    const auto read = std::from_chars(row.detail.data(), end, type);
    if (row.detail.empty() || read.ec != std::errc() || read.ptr != end) return false;
    if (row.schema.empty() || row.mark.empty()) return false;
    catalog_->add_key_column(row.schema, row.name, {std::string(row.mark), type});
    return true;
  }

  bool take_function(const SqlCatalogRow& row) {
    if (row.mark.size() != 2) return false;
    const auto volatility = volatility_of(row.mark[0]);
    const auto author = author_of(row.mark[1]);
    if (!volatility || !author) return false;
    if (row.what == "f") {
      catalog_->add_function(row.schema, row.name, {*volatility, *author, Sets::Nothing});
    } else {
      catalog_->add_operation(row.schema, row.name, {*volatility, *author, Sets::Nothing});
    }
    return true;
  }

  bool take_type(const SqlCatalogRow& row) {
    if (row.detail.empty() || read(row.detail).strongest > SqlClass::VolatileRead) {
      catalog_->add_volatile_type(row.name);
    }
    return true;
  }

  bool take_relation(const SqlCatalogRow& row) {
    if (row.mark.size() != 2 || !hidden_of(row.mark[1])) return false;
    switch (row.mark[0]) {
      case 'r':
      case 'p':
      case 'm':
      case 'v':
        if (!row.detail.empty()) {
          unsettled_.push_back(row);
        } else {
          add_relation(row, row.mark[0] == 'v' ? SqlClass::Unknown : SqlClass::PureRead);
        }
        return true;
      case 'f':
        add_relation(row, SqlClass::Unknown);  // another server's table, view or function
        return true;
      case 'S':
      case 's':
        catalog_->add_relation(row.schema, row.name,
                               {.reading = SqlClass::VolatileRead,
                                .sided = true,
                                .composed = true,
                                .hidden = *hidden_of(row.mark[1]),
                                .drawn = {}});
        return true;
      default:
        return false;
    }
  }

  // Columns whose defaults two equal servers may draw differently, or two users of one.
  bool take_default(const SqlCatalogRow& row) {
    RelationEntry entry{.reading = SqlClass::PureRead, .drawn = {std::string(row.mark)}};
    if (!row.detail.empty()) {
      const SqlFacts facts = read(row.detail);
      if (facts.strongest == SqlClass::PureRead) {
        if (facts.user_code) entry.reading_defaults = entry.drawn;
        if (facts.says_user) entry.users = entry.drawn;
        if (!facts.user_code && !facts.says_user) return true;
        entry.drawn.clear();
      }
      if (facts.pins.has(Pin::HiddenCode)) entry.hidden = Hidden::Code;
    }
    catalog_->add_relation(row.schema, row.name, entry);
    return true;
  }

  void add_relation(const SqlCatalogRow& row, SqlClass reading) {
    catalog_->add_relation(row.schema, row.name,
                           {.reading = reading,
                            .composed = row.mark[0] != 'r',
                            .hidden = *hidden_of(row.mark[1]),
                            .drawn = {}});
  }

  // One round over the definitions that are not understood yet; true when it understood one.
  bool settle_round() {
    std::vector<SqlCatalogRow> left;
    for (const SqlCatalogRow& row : unsettled_) {
      const SqlFacts facts = read(row.detail);
      if (facts.strongest > SqlClass::VolatileRead) {
        left.push_back(row);
        continue;
      }
      catalog_->add_relation(row.schema, row.name,
                             {.reading = facts.strongest,
                              .sided = facts.sided,
                              .composed = true,
                              .hidden = *hidden_of(row.mark[1]),
                              .drawn = {},
                              .says_user = facts.says_user});
    }
    const bool understood = left.size() < unsettled_.size();
    unsettled_ = std::move(left);
    return understood;
  }

  SqlFacts read(std::string_view sql) {
    for (const std::string& name : settings_in(sql).names) catalog_->add_setting(name);
    return classify(sql, *catalog_, SqlReading::Standard, kDefinitionMax, scratch_);
  }

  std::shared_ptr<SqlCatalog> catalog_ = std::make_shared<SqlCatalog>();
  std::vector<SqlCatalogRow> unsettled_;
  std::string scratch_;
};

}  // namespace

Result<std::shared_ptr<const SqlCatalog>> learn_sql_catalog(std::span<const SqlCatalogRow> rows,
                                                            std::span<const SqlDeclared> declared) {
  Learner learner;
  const Status learned = learner.learn(rows, declared);
  if (!learned) return learned.error();
  return learner.done();
}

}  // namespace crossfade::postgres
