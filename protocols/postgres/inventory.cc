// The question, its rows, and the settings that follow from them.
#include "protocols/postgres/inventory.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "protocols/postgres/builder.h"
#include "protocols/postgres/fields.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"

namespace crossfade::postgres {
namespace {

// A name that no client is expected to use.
constexpr std::string_view kName = "crossfade inventory";
constexpr std::string_view kPatienceName = "crossfade patience";
// Every name says its schema: the session's search path may lead anywhere. Settings are listed
// before one of them is set; SET LOCAL would warn.
constexpr std::string_view kPatience = R"(
SELECT CASE WHEN source OPERATOR(pg_catalog.=) ANY (
   '{session,user,database,"database user"}'::pg_catalog.text[])
 THEN 'setting' ELSE 'unset' END, name, setting, pg_catalog.set_config(name, '0', true)
 FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'statement_timeout')";
constexpr std::string_view kQuestion = R"(
SELECT 'setting', name, setting, NULL FROM pg_catalog.pg_settings
 WHERE name OPERATOR(pg_catalog.<>) 'statement_timeout'
 AND (source OPERATOR(pg_catalog.=) 'session' OR context OPERATOR(pg_catalog.=) 'user'
 AND source OPERATOR(pg_catalog.=) ANY ('{user,database,"database user"}'::pg_catalog.text[]))
UNION ALL SELECT 'setting', n, pg_catalog.current_setting(n, true), NULL
 FROM pg_catalog.unnest($1::pg_catalog.text[]) n WHERE NOT EXISTS (
   SELECT FROM pg_catalog.pg_settings s
   WHERE pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) pg_catalog.lower(n))
UNION ALL SELECT 'role', 'role', pg_catalog.current_setting('role'), SESSION_USER::pg_catalog.text
UNION ALL SELECT 'listens', c, NULL, NULL FROM pg_catalog.pg_listening_channels() c
UNION ALL SELECT 'lock', NULL, NULL, NULL FROM pg_catalog.pg_locks
 WHERE locktype OPERATOR(pg_catalog.=) 'advisory'
 AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
UNION ALL SELECT 'temp', relname::pg_catalog.text, NULL, NULL FROM pg_catalog.pg_class
 WHERE relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
UNION ALL SELECT 'cursor', name, NULL, NULL FROM pg_catalog.pg_cursors WHERE is_holdable
UNION ALL SELECT 'statement', name, statement,
 CASE WHEN from_sql THEN NULL ELSE parameter_types::pg_catalog.oid[]::pg_catalog.text END
 FROM pg_catalog.pg_prepared_statements WHERE name OPERATOR(pg_catalog.<>) 'crossfade inventory')";

void append_quoted(std::string& out, std::string_view text, char quote) {
  for (const char c : text) {
    if (c == quote || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
}

std::string array_of(const SettingNames& names) {
  std::string array = "{";
  for (const std::string& name : names) {
    if (array.size() > 1) array += ',';
    array += '"';
    append_quoted(array, name, '"');
    array += '"';
  }
  return array += '}';
}

// Means the same whatever standard_conforming_strings says.
void append_literal(std::string& out, std::string_view text) {
  out += "E'";
  append_quoted(out, text, '\'');
  out += '\'';
}

// "a.b" is a name in two parts.
void append_reset(std::string& out, std::string_view name) {
  out += "RESET \"";
  for (const char c : name) {
    if (c == '"') out += '"';
    if (c == '.') {
      out += "\".\"";
    } else {
      out += c;
    }
  }
  out += "\";";
}

// "{23,1043}"
std::optional<std::vector<std::uint32_t>> read_oids(std::string_view text) {
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return std::nullopt;
  std::vector<std::uint32_t> oids;
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size() - 1;
  while (at != end) {
    std::uint32_t oid = 0;
    const auto [next, error] = std::from_chars(at, end, oid);
    if (error != std::errc()) return std::nullopt;
    oids.push_back(oid);
    at = next;
    if (at == end) break;
    if (*at++ != ',') return std::nullopt;
  }
  return oids;
}

}  // namespace

const char* name_of(Tie tie) {
  switch (tie) {
    case Tie::Listens:
      return "listens";
    case Tie::TempObject:
      return "temp_object";
    case Tie::HeldCursor:
      return "held_cursor";
    case Tie::SessionLock:
      return "session_lock";
    case Tie::SessionUser:
      return "session_user";
    case Tie::Untold:
      return "untold";
  }
  return "untold";
}

void append_inventory_question(std::string& out, const SettingNames& custom) {
  append_close(out, kStatement, kPatienceName);
  append_close(out, kStatement, kName);
  append_parse(out, kPatienceName, kPatience);
  MessageBuilder(out, from_client::kBind)
      .text(kPatienceName)
      .text(kPatienceName)
      .u16(0)
      .u16(0)
      .u16(0);
  MessageBuilder(out, from_client::kExecute).text(kPatienceName).u32(0);
  append_close(out, kStatement, kPatienceName);
  append_parse(out, kName, kQuestion);
  {
    const std::string names = array_of(custom);
    MessageBuilder bind(out, from_client::kBind);
    bind.text(kName).text(kName).u16(0);  // portal, statement; parameters are text
    bind.u16(1).u32(static_cast<std::uint32_t>(names.size())).bytes(names);
    bind.u16(0);  // and so are columns
  }
  MessageBuilder(out, from_client::kExecute).text(kName).u32(0);
  append_close(out, kStatement, kName);
  append_sync(out);
}

bool InventoryReader::on_row(std::string_view body) {
  Fields fields(body);
  Row row;
  if (fields.u16() != row.size()) return false;
  for (auto& column : row) {
    const std::uint32_t size = fields.u32();
    if (size != UINT32_MAX) column = fields.bytes(size);
  }
  if (!fields.done() || !row[0]) return false;
  const std::string_view what = *row[0];
  if (what == "setting" && row[1]) {
    if (row[2]) found_.settings.insert_or_assign(std::string(*row[1]), std::string(*row[2]));
  } else if (what == "role" && row[2]) {
    if (*row[2] != "none") found_.settings.insert_or_assign("role", std::string(*row[2]));
    if (row[3] && *row[3] != user_) found_.ties.add(Tie::SessionUser);
  } else if (what == "listens") {
    found_.ties.add(Tie::Listens);
  } else if (what == "lock") {
    found_.ties.add(Tie::SessionLock);
  } else if (what == "temp") {
    found_.ties.add(Tie::TempObject);
  } else if (what == "cursor") {
    found_.ties.add(Tie::HeldCursor);
  } else if (what == "statement") {
    return on_statement(row);
  } else {
    return what == "unset";
  }
  return true;
}

bool InventoryReader::on_statement(const Row& row) {
  if (!row[1] || !row[2]) return false;
  PreparedText statement{std::string(*row[1]), std::string(*row[2]), {}, PreparedText::By::Sql};
  if (row[3]) {
    auto types = read_oids(*row[3]);
    if (!types) return false;
    statement.types = *std::move(types);
    statement.by = PreparedText::By::Parse;
  }
  found_.statements.push_back(std::move(statement));
  return true;
}

namespace {

constexpr std::string_view kEncoding = "client_encoding";
constexpr std::string_view kRole = "role";

void append_set(std::string& values, std::string_view name, std::string_view value) {
  values += values.empty() ? "SELECT " : ",";
  values += "pg_catalog.set_config(";
  append_literal(values, name);
  values += ',';
  append_literal(values, value);
  values += ",false)";
}

// What is to be said to a session with `there`, to make it one that holds `wanted`.
struct Giving {
  const SettingValues& wanted;
  const SettingValues& there;
  std::string resets = {};
  std::string values = {};

  bool lacks(std::string_view name) const {
    const auto to = wanted.find(name);
    const auto from = there.find(name);
    if (to == wanted.end() || from == there.end()) return to != wanted.end() || from != there.end();
    return to->second != from->second;
  }
  void give(std::string_view name) {
    const auto to = wanted.find(name);
    if (to == wanted.end()) {
      append_reset(resets, name);
    } else {
      append_set(values, name, to->second);
    }
  }
  // A role may lack the right to set the others: it goes first and comes last.
  void give_role() {
    const bool wants = wanted.contains(kRole);
    const bool leaves = there.contains(kRole) && (!query().empty() || !wants);
    std::string reset;
    if (leaves) append_reset(reset, kRole);
    resets.insert(0, reset);
    if (wants && (leaves || lacks(kRole))) give(kRole);
  }
  std::string query() const { return resets + values; }
};

}  // namespace

std::vector<std::string> settings_queries(const SettingValues& wanted, const SettingValues& there) {
  Giving encoding{wanted, there};  // in the one that is left, as its own text is ASCII
  if (encoding.lacks(kEncoding)) encoding.give(kEncoding);
  std::set<std::string_view> names;
  for (const auto& [name, value] : there) names.insert(name);
  for (const auto& [name, value] : wanted) names.insert(name);
  Giving others{wanted, there};
  for (const std::string_view name : names) {
    if (name != kEncoding && name != kRole && others.lacks(name)) others.give(name);
  }
  others.give_role();
  std::vector<std::string> queries;
  for (const Giving& giving : {encoding, others}) {
    if (!giving.query().empty()) queries.push_back(giving.query());
  }
  return queries;
}

std::optional<std::string> prepare_of(const SqlFacts& facts, std::string_view text,
                                      std::string_view name) {
  const SessionStep* found = nullptr;
  for (const Step& step : facts.steps) {
    const auto* const session = std::get_if<SessionStep>(&step.what);
    if (!session || session->what != SessionStep::What::Prepare || session->name != name) continue;
    if (found) return std::nullopt;
    found = session;
  }
  if (!found) return std::nullopt;
  return facts.statements == 1 ? std::string(text) : found->text;
}

std::string deallocate_query(std::string_view name) {
  std::string query = "DEALLOCATE \"";
  for (const char c : name) query.append(c == '"' ? 2 : 1, c);
  return query += "\";";
}

std::vector<std::string> statement_queries(const std::vector<PreparedText>& wanted,
                                           const std::vector<PreparedText>& there) {
  std::vector<std::string> queries;
  const auto among = [](const std::vector<PreparedText>& all, const PreparedText& one) {
    return std::ranges::find(all, one) != all.end();
  };
  std::string drops;
  for (const PreparedText& statement : there) {
    if (among(wanted, statement)) continue;
    drops += deallocate_query(statement.name);
  }
  if (!drops.empty()) queries.push_back(std::move(drops));
  for (const PreparedText& statement : wanted) {
    if (!among(there, statement)) queries.push_back(statement.text);
  }
  return queries;
}

}  // namespace crossfade::postgres
