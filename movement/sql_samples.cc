// Rows are told from each other by their bytes; only the two that are shown are taken apart.
#include "movement/sql_samples.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "movement/mismatch_samples.h"
#include "protocols/postgres/fields.h"
#include "protocols/postgres/message.h"
#include "protocols/postgres/sql_values.h"
#include "protocols/postgres/types.h"

namespace crossfade {

namespace {

using postgres::Difference;
using Rows = std::vector<std::string_view>;  // whole messages

// All rows, and messages of copied data, of all results.
Rows rows_of(std::string_view messages) {
  namespace from_server = postgres::from_server;
  Rows rows;
  postgres::MessageCutter cutter(postgres::Stream::Server);
  while (!messages.empty()) {
    const postgres::Cut cut = cutter.next(messages);
    const auto* const piece = std::get_if<postgres::Piece>(&cut);
    if (piece == nullptr) break;
    const bool row = piece->type == from_server::kDataRow || piece->type == from_server::kCopyData;
    if (row && piece->whole()) rows.push_back(piece->bytes);
    messages.remove_prefix(piece->bytes.size());
  }
  return rows;
}

// The first of `rows` that `others` has not, or not as often; empty: none.
std::string_view first_missing(const Rows& rows, const Rows& others) {
  std::unordered_map<std::string_view, std::size_t> left;
  for (const std::string_view row : others) ++left[row];
  for (const std::string_view row : rows) {
    const auto found = left.find(row);
    if (found == left.end() || found->second == 0) return row;
    --found->second;
  }
  return {};
}

// The first one that is another than the other side's at that place.
std::string_view first_moved(const Rows& rows, const Rows& others) {
  const std::size_t both = std::min(rows.size(), others.size());
  for (std::size_t i = 0; i < both; ++i) {
    if (rows[i] != others[i]) return rows[i];
  }
  return rows.size() > both ? rows[both] : std::string_view();
}

std::string show_value(std::string_view value, const Showing& showing) {
  return showing.redacted ? hidden_value(value, showing.seed) : printable(value);
}

std::string show_row(std::string_view row, const Showing& showing) {
  const std::string_view body = row.substr(postgres::kHeaderSize);
  if (row[0] != postgres::from_server::kDataRow) return show_value(body, showing);
  postgres::Fields fields(body);
  std::string shown = "(";
  const std::uint16_t count = fields.u16();
  for (std::uint16_t i = 0; i < count && shown.size() <= kSampleTextMax; ++i) {
    const std::uint32_t size = fields.u32();
    const bool null = size == UINT32_MAX;
    const std::string_view value = null ? std::string_view() : fields.bytes(size);
    if (!fields.ok()) break;
    shown += (i == 0 ? "" : ", ") + (null ? "NULL" : show_value(value, showing));
  }
  return shown + ")";
}

std::string show_side(const std::string& text, std::string_view row, const Showing& showing) {
  std::string shown = text;
  if (!row.empty()) shown += "; row " + show_row(row, showing);
  if (shown.size() > kSampleTextMax) shown.resize(kSampleTextMax);
  return shown;
}

bool about_rows(Difference what) {
  return what == Difference::Rows || what == Difference::Counts || what == Difference::Order;
}

}  // namespace

ShownReplies show_replies(const Mismatch& mismatch, const Showing& showing) {
  const postgres::Compared& compared = mismatch.sql->compared;
  const auto lead = [&](const std::string& text) {
    return std::string(postgres::name_of(compared.what)) + " of result " +
           std::to_string(compared.result + 1) + ": " + text;
  };
  std::string_view old_row, new_row;
  if (about_rows(compared.what)) {
    const Rows olds = rows_of(mismatch.old_reply), news = rows_of(mismatch.new_reply);
    const auto first = compared.what == Difference::Order ? first_moved : first_missing;
    // A part of the rows tells nothing about what is missing in it.
    if (!mismatch.truncated) old_row = first(olds, news);
    if (!mismatch.truncated) new_row = first(news, olds);
  }
  return {show_side(lead(compared.old_text), old_row, showing),
          show_side(lead(compared.new_text), new_row, showing)};
}

std::string show_statement(std::string_view sql, const Showing& showing) {
  if (!showing.redacted) return printable(sql, kSampleSqlMax);
  return printable(postgres::without_values(sql, kSampleSqlMax), kSampleSqlMax);
}

}  // namespace crossfade
