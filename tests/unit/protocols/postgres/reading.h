// A reader of units by the sample catalog, with the messages that it is told and the session's
// state.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/postgres/frontend.h"
#include "protocols/postgres/unit_facts.h"
#include "tests/unit/protocols/postgres/bytes.h"
#include "tests/unit/protocols/postgres/sql_samples.h"

namespace crossfade::postgres {

class Reading {
 public:
  Reading() { begin(); }

  void begin() {
    parses_ = 0;
    reader.begin(classifier_, SqlReading::Standard, users, elsewhere, &said);
  }
  // The bytes stay: names are views of them while the unit is read.
  void tell(std::string text) {
    const std::string& bytes = told_.emplace_back(std::move(text));
    reader.on_message({bytes[0], bytes.size(), 0, bytes});
  }
  // Told, and sent: as messages that are not answered.
  std::uint64_t send(const std::string& bytes) {
    tell(bytes);
    const bool parses = bytes[0] == 'P';
    state.sent(++id_, {bytes[0], bytes.size(), 0, bytes},
               parses ? reader.facts_of_parse(parses_++) : nullptr);
    return id_;
  }
  const UnitFacts& query(std::string_view text) {
    begin();
    std::string bytes;
    append_query(bytes, text);
    tell(bytes);
    return reader.facts();
  }
  const UnitFacts& facts() const { return reader.facts(); }
  // Its server tells what SQL has prepared there.
  void told(const std::vector<PreparedText>& by_sql) { reader.told_prepared(classifier_, by_sql); }
  void adopt(std::shared_ptr<const SqlCatalog> catalog) { classifier_.adopt(std::move(catalog)); }

  SessionState state;
  UnitReader reader{state};
  Users users = Users::Same;
  std::shared_ptr<const Redefined> elsewhere;
  Said said;

 private:
  std::deque<std::string> told_;
  SqlClassifier classifier_{sample_catalog(), {}, Forms::Read};
  std::uint64_t id_ = 0;
  std::size_t parses_ = 0;
};

inline std::string parse(const std::string& name, const std::string& text,
                         std::vector<std::uint32_t> types = {}) {
  std::string bytes;
  append_parse(bytes, name, text, types);
  return bytes;
}
inline std::string bind_portal(const std::string& portal, const std::string& name) {
  return message('B', portal + raw("\0") + name + raw("\0\0\0\0\0\0\0"));
}
inline std::string bind(const std::string& name) { return bind_portal("", name); }
inline std::string execute(const std::string& portal) {
  return message('E', portal + raw("\0\0\0\0\0"));
}
inline PreparedText by_sql(const char* name, const char* text) {
  return {name, text, {}, PreparedText::By::Sql};
}

}  // namespace crossfade::postgres
