// What passes by of a transaction that tells which rows it writes: kept as it comes, read only when
// somebody asks.
//
// Two sources: statements whose text tells rows (row_names.h), with the parameters that they were
// given, and the rows that they return. The latter count where it is certain whose they are: all
// that the unit runs writes to one table and returns what it has written, columns are described
// with their formats (a Query, or Describe of the portal), and the portal is the unnamed one.
//
// Bounded: kRowsMax rows and kBytesMax bytes of a transaction. Of one that has more, none is named.
// Knows nothing of sides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/postgres/message.h"
#include "protocols/postgres/row_names.h"

namespace crossfade::postgres {

class WrittenRows {
 public:
  static constexpr std::size_t kBytesMax = 64 << 10;

  // --- a unit
  void begin_unit();
  // All that it runs returns rows that it has written, as far as its facts say.
  void expect_returned() {
    if (returned_ == Returned::Unsaid) returned_ = Returned::Expected;
  }
  // Some of it does not: its rows are not told from the others.
  void expect_others() { returned_ = Returned::Others; }
  // What it writes may differ, whatever becomes of the rest of the transaction.
  void doubt_unit();
  // The first piece of each message of a unit that writes, in their order.
  //   parse  Bind: the Parse that has made its statement; empty: it does not write, or is not kept
  //   cost   a copy of texts and parameters
  void on_request(const Piece& first, std::string_view parse = {});
  // What is answered to it: pieces, and whole messages of DataRow. See ResultDigest.
  //   cost   a copy, if rows are expected that it has written
  void on_piece(const Piece& piece);
  void on_rows(char type, std::string_view whole_messages);

  // --- the transaction
  void forget();
  enum class Which : std::uint8_t { All, Doubted };
  // Rows by their names, with their tables; more than kRowsMax: none.
  //   cost  as rows_told_by() each text
  std::map<std::string, TableName> names(Which which, const SqlCatalog& catalog) const;
  std::size_t bytes() const { return kept_.size(); }

 private:
  // Bytes in kept_.
  struct Part {
    std::size_t begin = 0;
    std::size_t size = 0;
  };
  struct Statement {
    std::uint32_t unit;
    bool doubted;
    Part text;
    Part types;  // of its parameters, as Parse declares them
    Part bind;   // body of the Bind; empty: a Query
  };
  struct Answer {
    std::uint32_t unit;
    char type;  // RowDescription: its body; DataRow: whole messages; else the end of a result
    Part bytes;
  };
  // A description, rows and an end of each, with room for rows that come one by one.
  static constexpr std::size_t kAnswersMax = 4 * kRowsMax;
  enum class Returned : std::uint8_t { Unsaid, Expected, Others };
  enum class Portal : std::uint8_t { Before, Bound };  // the unnamed one, by this unit
  enum class Room : std::uint8_t { Left, Gone };

  void on_query(const Piece& first);
  void on_bind(const Piece& first, std::string_view parse);
  void add(std::string_view text, std::string_view types, std::string_view bind);
  bool has_room(std::size_t bytes);
  void give_up();
  Part keep(std::string_view bytes);
  std::string_view text_of(Part part) const {
    return std::string_view(kept_).substr(part.begin, part.size);
  }

  friend class RowNaming;

  std::vector<Statement> statements_;
  std::vector<Answer> answers_;
  std::string kept_;
  std::size_t rows_ = 0;  // of the answers
  std::uint32_t unit_ = 0;
  bool doubted_ = false;  // the unit
  Returned returned_ = Returned::Unsaid;
  Portal portal_ = Portal::Before;
  Room room_ = Room::Left;
};

}  // namespace crossfade::postgres
