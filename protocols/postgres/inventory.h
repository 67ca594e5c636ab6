// What a session holds on its server, as that server tells it: asked before the session goes on at
// another one.
//
// The server is asked and nobody else: it knows what rolled back, what functions did unseen, and
// what was there before anybody looked. It does not list settings that no library has defined
// ("app.tenant"): the names of those must be known.
//
// Source: PostgreSQL documentation, "System Views": pg_settings, pg_locks, pg_cursors,
// pg_prepared_statements; tried on 15 and 18.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/postgres/sql_catalog.h"
#include "protocols/postgres/sql_facts.h"

namespace crossfade::postgres {

// What ties a session to its server: it can not be given to another.
enum class Tie : std::uint8_t {
  Listens,      // LISTEN
  TempObject,   // a temporary table, view, sequence, …
  HeldCursor,   // DECLARE … WITH HOLD
  SessionLock,  // pg_advisory_lock and its like
  SessionUser,  // SET SESSION AUTHORIZATION
  Untold        // the server did not tell, or what is there cannot be repeated
};
inline constexpr std::size_t kTies = 6;
// The value of the `reason` label in metrics and of status.
const char* name_of(Tie tie);

struct PreparedText {
  std::string name;
  // What a Parse carried; or of SQL, as told: all of the query that its PREPARE stood in.
  std::string text;
  std::vector<std::uint32_t> types;  // OIDs, of a Parse
  enum class By : std::uint8_t { Parse, Sql } by = By::Parse;

  bool operator==(const PreparedText&) const = default;
};

using SettingValues = std::map<std::string, std::string, std::less<>>;  // by name

struct Inventory {
  // That the session has set, or that its role or database gave it on that server: another one may
  // give others.
  SettingValues settings;
  std::vector<PreparedText> statements;
  SetOf<Tie> ties;
};

// Appends messages that ask, as one segment of the extended protocol: the client's unnamed
// statement stays as it is. No statement_timeout of the session's ends what is asked, but for the
// first moment, in which it is switched off until the segment ends.
// What an earlier one has left, which was ended between a Parse and its Close, is closed first.
//   custom   names with a dot in them that may have been set; what a library has defined by such a
//            name is told like any other setting
void append_inventory_question(std::string& out, const SettingNames& custom);
// Types of the messages that this appends, in their order.
inline constexpr std::string_view kInventoryMessages = "CCPBECPBECS";

// Takes the rows of the answer, one DataRow's body each.
class InventoryReader {
 public:
  // `user`: of the start-up packet; whom the session is for its server. `version`: of the session
  // when it is asked.
  explicit InventoryReader(std::string_view user, std::uint64_t version = 0, unsigned attempt = 1)
      : user_(user), version_(version), attempt_(attempt) {}
  std::uint64_t version() const { return version_; }
  unsigned attempt() const { return attempt_; }
  // The server was made to leave it.
  void cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }
  // False: that is no row of the answer.
  bool on_row(std::string_view body);
  Inventory take() { return std::move(found_); }

 private:
  using Row = std::array<std::optional<std::string_view>, 4>;
  bool on_statement(const Row& row);

  std::string user_;
  std::uint64_t version_;
  unsigned attempt_;
  bool cancelled_ = false;
  Inventory found_;
};

// Queries' texts that make a session with `there` one that holds `wanted`; none when nothing is to
// be done. Values go as they came: in the client's encoding, which is given first, and whose bytes
// below 0x80 must be ASCII.
std::vector<std::string> settings_queries(const SettingValues& wanted, const SettingValues& there);

// The PREPARE that made the statement `name`, and nothing of what else its query said, which has
// been done. Nothing: it is not there, or which one it is cannot be told.
//   facts   of the query `text`
std::optional<std::string> prepare_of(const SqlFacts& facts, std::string_view text,
                                      std::string_view name);

std::string deallocate_query(std::string_view name);

// Texts for one Query each, of statements that SQL has prepared: they go behind the former. Each
// PREPARE has one of its own, whose text its server tells again.
//   wanted, there   their texts are those of prepare_of()
std::vector<std::string> statement_queries(const std::vector<PreparedText>& wanted,
                                           const std::vector<PreparedText>& there);

}  // namespace crossfade::postgres
