// Keeping, and naming what was kept.
#include "protocols/postgres/written_rows.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/fields.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/moment.h"
#include "protocols/postgres/types.h"

namespace crossfade::postgres {

namespace {
constexpr std::uint32_t kNull = 0xffffffff;  // the size of what has no value

// Parameters of one statement.
struct Given {
  std::string_view types;
  std::vector<BoundParameter> values;

  std::uint32_t declared(std::size_t index) const {
    return index < types.size() / 4 ? read_u32(types.data() + 4 * index) : 0;
  }
  std::optional<std::string> text_of(const RowParameter& parameter, std::uint32_t column) const {
    const std::size_t index = parameter.number - 1;
    if (index >= values.size() || !values[index].value) return std::nullopt;
    const std::uint32_t said = declared(index);
    // Cast from another type it may be another value.
    if (parameter.type != 0 && said != 0 && said != parameter.type) return std::nullopt;
    if (!values[index].binary) return std::string(*values[index].value);
    const std::uint32_t type = said != 0 ? said : parameter.type != 0 ? parameter.type : column;
    return text_of_binary(type, *values[index].value);
  }
};

std::optional<std::string> name_of(const TableName& table, const ToldRow& row, const Given& given) {
  RowValues values;
  for (const RowColumn& column : row) {
    const auto* const parameter = std::get_if<RowParameter>(&column.value);
    auto text = parameter ? given.text_of(*parameter, column.type)
                          : std::optional(std::get<std::string>(column.value));
    // As an integer it would be another text, as a time another value each time.
    const bool integer =
        is_integer_type(column.type) || (parameter != nullptr && is_integer_type(parameter->type));
    if (!text || (integer && !is_integer(*text)) || is_moment(*text)) return std::nullopt;
    values.emplace_back(column.name, std::move(text));
  }
  return row_name(table, std::move(values));
}

// Which columns of an answer tell its rows.
std::vector<std::size_t> telling(const std::vector<Column>& columns, const PrimaryKey* key) {
  std::vector<std::size_t> found;
  if (key == nullptr) {
    for (std::size_t i = 0; i < columns.size(); ++i) found.push_back(i);
    return found.size() <= kRowColumnsMax ? found : std::vector<std::size_t>();
  }
  for (const PrimaryKey::Column& one : key->columns) {
    const auto at = std::ranges::find(columns, one.name, &Column::name);
    if (at == columns.end()) return {};
    found.push_back(static_cast<std::size_t>(at - columns.begin()));
  }
  return found;
}
}  // namespace

// --- keeping

void WrittenRows::begin_unit() {
  ++unit_;
  doubted_ = false;
  returned_ = Returned::Unsaid;
  portal_ = Portal::Before;
}

void WrittenRows::doubt_unit() {
  doubted_ = true;
  for (Statement& statement : statements_) statement.doubted |= statement.unit == unit_;
}

void WrittenRows::on_request(const Piece& first, std::string_view parse) {
  if (room_ == Room::Gone) return;
  const auto subject =
      first.type == from_client::kDescribe ? view_subject(first.body()) : std::nullopt;
  const auto execute =
      first.type == from_client::kExecute ? view_execute(first.body()) : std::nullopt;
  switch (first.type) {
    case from_client::kQuery:
      return on_query(first);
    case from_client::kBind:
      return on_bind(first, parse);
    case from_client::kDescribe:
      if (portal_ == Portal::Bound && subject && subject->kind == kPortal &&
          subject->name.empty()) {
        return;
      }
      return expect_others();
    case from_client::kExecute:
      if (portal_ == Portal::Bound && execute && execute->portal.empty()) return;
      return expect_others();
    default:
      return;
  }
}

void WrittenRows::on_query(const Piece& first) {
  const auto text = first.whole() ? view_query(first.body()) : std::nullopt;
  if (!text) return expect_others();
  add(*text, {}, {});
}

void WrittenRows::on_bind(const Piece& first, std::string_view parse) {
  const auto bind = view_bind(first.body());
  const auto made =
      parse.starts_with(from_client::kParse) ? view_parse(parse.substr(kHeaderSize)) : std::nullopt;
  if (!bind || !bind->portal.empty() || !made || !first.whole()) expect_others();
  if (!bind || !made || !first.whole()) return;
  if (bind->portal.empty()) portal_ = Portal::Bound;
  add(made->text, made->types, first.body());
}

// Of a text that is run again and again there is one copy.
void WrittenRows::add(std::string_view text, std::string_view types, std::string_view bind) {
  const bool again = !statements_.empty() && text_of(statements_.back().text) == text;
  const std::size_t bytes = (again ? 0 : text.size()) + types.size() + bind.size();
  if (statements_.size() == kRowsMax) return give_up();
  if (!has_room(bytes)) return;
  const Part part = again ? statements_.back().text : keep(text);
  const Part declared = keep(types);
  statements_.push_back({unit_, doubted_, part, declared, keep(bind)});
}

void WrittenRows::on_piece(const Piece& piece) {
  if (returned_ != Returned::Expected || room_ == Room::Gone) return;
  switch (piece.type) {
    case from_server::kRowDescription:
    case from_server::kDataRow:
      if (!piece.whole()) return give_up();
      if (piece.type == from_server::kDataRow) return on_rows(piece.type, piece.bytes);
      if (has_room(piece.body().size())) {
        answers_.push_back({unit_, piece.type, keep(piece.body())});
      }
      return;
    case from_server::kCommandComplete:
    case from_server::kErrorResponse:
      if (has_room(0)) answers_.push_back({unit_, piece.type, {}});
      return;
    default:
      return;
  }
}

void WrittenRows::on_rows(char type, std::string_view whole_messages) {
  if (returned_ != Returned::Expected || room_ == Room::Gone) return;
  if (type != from_server::kDataRow) return;
  rows_ += run_of(type, whole_messages).messages;
  if (rows_ > kRowsMax) return give_up();
  if (has_room(whole_messages.size())) answers_.push_back({unit_, type, keep(whole_messages)});
}

bool WrittenRows::has_room(std::size_t bytes) {
  const bool fits = answers_.size() < kAnswersMax && kept_.size() + bytes <= kBytesMax;
  if (!fits) give_up();
  return fits;
}

void WrittenRows::give_up() {
  forget();
  room_ = Room::Gone;
}

void WrittenRows::forget() {
  statements_.clear();
  answers_.clear();
  std::string().swap(kept_);
  rows_ = 0;
  room_ = Room::Left;
}

WrittenRows::Part WrittenRows::keep(std::string_view bytes) {
  const Part part{kept_.size(), bytes.size()};
  kept_.append(bytes);
  return part;
}

// --- naming

class RowNaming {
 public:
  RowNaming(const WrittenRows& rows, const SqlCatalog& catalog) : rows_(rows), catalog_(catalog) {}

  std::map<std::string, TableName> run(WrittenRows::Which which) {
    for (const WrittenRows::Statement& statement : rows_.statements_) {
      if (which == WrittenRows::Which::Doubted && !statement.doubted) continue;
      read_statement(statement);
    }
    for (const WrittenRows::Answer& answer : rows_.answers_) read_answer(answer);
    if (names_.size() > kRowsMax) names_.clear();
    return std::move(names_);
  }

 private:
  // Whose rows are returned by a unit.
  struct Source {
    TableName table;
    bool clear = true;
  };

  void read_statement(const WrittenRows::Statement& statement) {
    const std::string_view text = rows_.text_of(statement.text);
    if (!read_ || *read_ != text) told_ = rows_told_by(text, catalog_);  // pipelines repeat one
    read_ = text;
    Given given{rows_.text_of(statement.types), {}};
    const std::string_view bind = rows_.text_of(statement.bind);
    if (!bind.empty())
      given.values = view_bind_parameters(bind).value_or(std::vector<BoundParameter>());
    if (told_.empty()) sources_[statement.unit].clear = false;
    for (const ToldRows& one : told_) {
      note_source(statement.unit, one);
      for (const ToldRow& row : one.rows) add(one.table, name_of(one.table, row, given));
    }
  }

  void note_source(std::uint32_t unit, const ToldRows& rows) {
    const auto [at, fresh] = sources_.try_emplace(unit, Source{rows.table, rows.returns});
    at->second.clear &= rows.returns && at->second.table == rows.table;
  }

  void add(const TableName& table, std::optional<std::string> row) {
    if (row && names_.size() <= kRowsMax) names_.emplace(*std::move(row), table);
  }

  void read_answer(const WrittenRows::Answer& answer) {
    const auto source = sources_.find(answer.unit);
    if (source == sources_.end() || !source->second.clear) return;
    const std::string_view bytes = rows_.text_of(answer.bytes);
    if (answer.type == from_server::kRowDescription) {
      columns_.clear();
      Columns columns(bytes);
      while (const auto column = columns.next()) columns_.push_back(*column);
    } else if (answer.type == from_server::kDataRow) {
      name_rows(source->second.table, bytes);
    } else {
      columns_.clear();
    }
  }

  void name_rows(const TableName& table, std::string_view messages) {
    if (columns_.empty()) return;
    const auto places = telling(columns_, catalog_.primary_key(table.schema, table.name));
    while (const std::size_t size = whole_size(messages, kServerLargeMax)) {
      Fields fields(messages.substr(0, size).substr(kHeaderSize));
      const std::size_t count = fields.u16();
      std::vector<std::optional<std::string_view>> row(count);
      for (std::optional<std::string_view>& value : row) {
        const std::uint32_t length = fields.u32();
        if (length != kNull) value = fields.bytes(length);
      }
      if (fields.done() && count == columns_.size()) add(table, name_of_row(table, row, places));
      messages.remove_prefix(size);
    }
  }

  std::optional<std::string> name_of_row(const TableName& table,
                                         const std::vector<std::optional<std::string_view>>& row,
                                         const std::vector<std::size_t>& places) const {
    RowValues values;
    for (const std::size_t place : places) {
      const Column& column = columns_[place];
      std::optional<std::string> text;
      if (row[place] && column.format == 0) text = std::string(*row[place]);
      if (row[place] && column.format != 0) text = text_of_binary(column.type, *row[place]);
      if (row[place] && !text) return std::nullopt;
      values.emplace_back(column.name, std::move(text));
    }
    return row_name(table, std::move(values));
  }

  const WrittenRows& rows_;
  const SqlCatalog& catalog_;
  std::optional<std::string_view> read_;  // the text that was read last
  std::vector<ToldRows> told_;            // by it
  std::map<std::uint32_t, Source> sources_;
  std::vector<Column> columns_;  // as the last description says
  std::map<std::string, TableName> names_;
};

std::map<std::string, TableName> WrittenRows::names(Which which, const SqlCatalog& catalog) const {
  return RowNaming(*this, catalog).run(which);
}

}  // namespace crossfade::postgres
