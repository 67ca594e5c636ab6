// Ledger entries as JSON, page by page.
#include "control/service/divergence.h"

#include "control/definitions/identity.h"
#include "control/endpoint_pair.h"
#include "control/json/locate.h"
#include "control/service/migrations.h"
#include "protocols/base/base64.h"

namespace crossfade {

namespace {

std::string time_of(std::int64_t ms) { return rfc3339(ms / 1000); }

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// The endpoints between which a key differs; null: it may be any of the migration's pairs.
Json endpoints_of(const State& state, const Migration& migration, std::uint64_t pair) {
  for (const Binding& binding : migration.bindings) {
    const EndpointPair sides = sides_of(state, binding);
    if (pair_of(sides) != pair) continue;
    return Json::object({{"old", sides[0]->identity.id}, {"new", sides[1]->identity.id}});
  }
  return {};
}

Json shown(const State& state, const Migration& migration, const LedgerEntry& entry) {
  Json json = Json::object({{"endpoints", endpoints_of(state, migration, entry.at.pair)},
                            {"db", entry.at.db < 0 ? Json() : Json(entry.at.db)}});
  if (is_utf8(entry.at.key)) {
    json.set("key", entry.at.key);
  } else {
    json.set("key_base64", base64(entry.at.key));
  }
  if (entry.at.db == kRowsDb) json.set("row", true);
  json.set("reason", name_of(entry.doubt));
  json.set("right", name_of(entry.right));
  json.set("first_at", time_of(entry.first_at_ms));
  json.set("last_at", time_of(entry.last_at_ms));
  json.set("attempts", entry.attempts);
  if (!entry.last_error.empty()) json.set("last_error", entry.last_error);
  return json;
}

Json shown(const std::vector<LedgerReason>& reasons) {
  Json json = Json::array();
  for (const LedgerReason& reason : reasons) {
    json.push(Json::object({{"at", time_of(reason.at_ms)}, {"reason", reason.text}}));
  }
  return json;
}

}  // namespace

Answer Divergence::get(const std::string& reference, const Call& call) const {
  const StatePtr state = keeper_.state();
  const MigrationPtr migration = find(state->migrations, reference);
  if (migration == nullptr) return not_found(kMigrationWord, reference);
  if (call.limit == 0) return bad_request("limit: must be from 1 to 1000");
  const std::string& uuid = migration->identity.uuid;
  const Ledger::Summary summary = ledger_.summary(uuid).value_or(Ledger::Summary{});
  // One more than is shown tells whether there is a next page.
  std::vector<LedgerEntry> page = ledger_.page(uuid, call.cursor, std::size_t{call.limit} + 1);
  Json next_cursor;
  if (page.size() > call.limit) {
    page.pop_back();
    next_cursor = std::to_string(page.back().seq);
  }
  Json entries = Json::array();
  for (const LedgerEntry& entry : page) entries.push(shown(*state, *migration, entry));
  return Reply{
      .data = Json::object(
          {{"needs_full_verification", !summary.reasons.empty()},
           {"reasons", shown(summary.reasons)},
           {"verification", verifications_.shown(uuid)},
           {"entries_total", summary.entries},
           {"entries", std::move(entries)},
           {"next_cursor", std::move(next_cursor)},
           {"mismatches", mismatches_ ? mismatches_(migration->identity.id) : Json::array()}})};
}

Json render(const Ledger::Summary& summary) {
  return Json::object(
      {{"entries", summary.entries}, {"needs_full_verification", !summary.reasons.empty()}});
}

}  // namespace crossfade
