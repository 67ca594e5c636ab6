// From the text of a query to its facts: what is bounded, what is cached, what is not even read.
//
// An SqlClassifier belongs to one loop. Text that is too long, that has no clear end, or that the
// session's settings give another meaning is unknown_sql() without being parsed: a write, pinned.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "protocols/postgres/sql_cache.h"
#include "protocols/postgres/sql_catalog.h"
#include "protocols/postgres/sql_facts.h"

namespace crossfade::postgres {

// How the server that gets the text reads it.
enum class SqlReading : std::uint8_t {
  Standard,
  Foreign  // only plain ASCII without backslashes means the same as in the standard reading
};

// From two parameters that servers report. Foreign with standard_conforming_strings off, and in
// encodings where a byte of ASCII may be part of another character (Shift-JIS, Big5, GBK, …).
SqlReading reading_of(std::string_view standard_conforming_strings,
                      std::string_view client_encoding);

struct SqlLimits {
  // Longer text is not parsed: at worst this much takes the parser 7 ms and 6 MiB, for which the
  // loop waits; 32 KiB of rows to insert take 1 ms.
  std::size_t sql_parse_max = 32 << 10;
  std::size_t sql_cache_max = 4 << 20;  // texts and facts, per loop
};

// Whether anybody asks for SqlFacts::forms.
enum class Forms : std::uint8_t { Unread, Read };

// Facts of one query, without a cache and without forms. `scratch` is used for the text without
// comments.
//   cost  1 to 4 us for ordinary statements
SqlFacts classify(std::string_view sql, const SqlCatalog& catalog, SqlReading reading,
                  std::size_t parse_max, std::string& scratch);

class SqlClassifier {
 public:
  explicit SqlClassifier(std::shared_ptr<const SqlCatalog> catalog, SqlLimits limits = {},
                         Forms forms = Forms::Unread);

  // Facts of one query; never null. The reference holds until the next call: copy the pointer to
  // keep them (a prepared statement does).
  //   cost  of a text that came lately one look, under 50 ns for 100 bytes; of one that differs
  //   from
  //         such in comments or numbers under 200 ns; no allocation in either
  const std::shared_ptr<const SqlFacts>& facts_of(std::string_view sql, SqlReading reading);

  // From now on names mean what this catalog says; all that was cached is forgotten.
  void adopt(std::shared_ptr<const SqlCatalog> catalog);
  const SqlCatalog& catalog() const { return *catalog_; }
  // Facts that were told at another version may say another thing by now. No two classifiers of one
  // thread share one; never 0.
  std::uint64_t version() const { return version_; }

  // Every text counts once, but for the broken, which are among the parsed.
  struct Counts {
    std::uint64_t hits = 0;
    std::uint64_t parsed = 0;
    std::uint64_t too_long = 0;  // sql_parse_max
    std::uint64_t unclear = 0;   // no clear end, runs of operators, a foreign reading
    std::uint64_t broken = 0;    // parsed, but not PostgreSQL 15's grammar
    bool any() const { return (hits | parsed | too_long | unclear) != 0; }
  };
  const Counts& counts() const { return counts_; }
  // Likewise, and they begin anew.
  Counts take_counts() { return std::exchange(counts_, {}); }
  std::size_t cache_bytes() const { return cache_.bytes(); }
  std::size_t cache_size() const { return cache_.size(); }

 private:
  const std::shared_ptr<const SqlFacts>& found(std::string_view sql,
                                               const std::shared_ptr<const SqlFacts>& known);
  const std::shared_ptr<const SqlFacts>& parse_alike(std::string_view sql);
  void parse();

  std::shared_ptr<const SqlCatalog> catalog_;
  std::uint64_t version_;
  const SqlLimits limits_;
  const Forms forms_;
  SqlCache cache_;
  Counts counts_;
  const std::shared_ptr<const SqlFacts> unknown_;
  std::shared_ptr<const SqlFacts> last_;  // what was found or parsed last, kept or not
  std::string scratch_;
  std::string key_;  // the text with all its numbers made equal
};

}  // namespace crossfade::postgres
