// Telling messages: rows are hashed as they pass by, everything else is looked at once.
//
// A row is hashed whole where it lies, or, if it comes in pieces, by a state that gives the same
// hash. The rows' hashes are added (each half by itself) for their set, and chained for their
// order.
#include "protocols/postgres/result_digest.h"

#define XXH_INLINE_ALL  // half of the time for a short row would be the call
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/fields.h"

namespace crossfade::postgres {
namespace {

constexpr std::uint8_t kCopyHeadSize = 19;  // signature, flags, length of the extension (0)

Hash128 of(XXH128_hash_t hash) { return {hash.low64, hash.high64}; }
Hash128 hash_of(std::string_view bytes) { return of(XXH3_128bits(bytes.data(), bytes.size())); }

// `chain` with one more hash behind it.
void append(Hash128& chain, const Hash128& next) {
  const std::array<std::uint64_t, 4> both{chain.low, chain.high, next.low, next.high};
  chain = of(XXH3_128bits(both.data(), sizeof both));
}
void append(Hash128& chain, std::string_view bytes) { append(chain, hash_of(bytes)); }
void append(Hash128& chain, std::uint64_t number) { append(chain, {number, 0}); }

std::uint32_t masked(std::uint32_t type) { return std::min(type, kFirstUserOid); }

// The SQLSTATE of an error of which there may be no more than a head.
std::string_view sqlstate_of(std::string_view body) {
  Fields fields(body);
  for (char code = fields.byte(); code != '\0'; code = fields.byte()) {
    const std::string_view text = fields.text();
    if (code == 'C' && fields.ok()) return text;
  }
  return {};
}

// COPY has one tag for both ways; on its way out it has rows of its own.
bool writes(const QueryResult& result) {
  const std::string_view command = result.command_text();
  if (command == "COPY") return result.rows == 0;
  return command == "INSERT" || command == "UPDATE" || command == "DELETE" || command == "MERGE";
}

void append_columns(Hash128& shape, Columns columns) {
  while (const auto column = columns.next()) {
    append(shape, column->name);
    append(shape, std::uint64_t{masked(column->type)} << 32 | column->modifier);
    append(shape, column->format);
  }
}

void append_parameters(Hash128& shape, std::string_view body) {
  Fields fields(body);
  const std::uint16_t count = fields.u16();
  append(shape, count);
  for (std::uint16_t i = 0; i < count && fields.ok(); ++i) append(shape, masked(fields.u32()));
}

}  // namespace

struct ResultDigest::RowStream {
  XXH3_state_t state;
};

How how_of(const SqlFacts& facts) {
  // Which of its cursor's rows a FETCH gives hangs on an order that the cursor may not have.
  const auto fetches = [](const Step& step) {
    const auto* session = std::get_if<SessionStep>(&step.what);
    return session != nullptr && session->what == SessionStep::What::Fetch;
  };
  const bool parts = std::any_of(facts.steps.begin(), facts.steps.end(), fetches);
  if (!facts.deterministic || facts.sided || parts) return How::ShapeOnly;
  return facts.sorted ? How::Exact : How::Multiset;
}

CommandTag split_tag(std::string_view tag) {
  CommandTag split{tag, std::nullopt};
  for (;;) {  // from behind: the count, and of an INSERT the OID before it
    const std::size_t blank = split.command.rfind(' ');
    if (blank == std::string_view::npos) return split;
    const std::string_view word = split.command.substr(blank + 1);
    std::uint64_t number = 0;
    const auto read = std::from_chars(word.data(), word.data() + word.size(), number);
    if (read.ec != std::errc() || read.ptr != word.data() + word.size()) return split;
    if (!split.count) split.count = number;
    split.command = split.command.substr(0, blank);
  }
}

std::string_view QueryResult::command_text() const {
  const auto end = std::find(command.begin(), command.end(), '\0');
  return {command.data(), static_cast<std::size_t>(end - command.begin())};
}

ResultDigest::ResultDigest() = default;
ResultDigest::~ResultDigest() = default;
ResultDigest::ResultDigest(ResultDigest&&) noexcept = default;
ResultDigest& ResultDigest::operator=(ResultDigest&&) noexcept = default;

void ResultDigest::clear() {
  std::vector<QueryResult> results = std::move(results_);
  std::unique_ptr<RowStream> stream = std::move(stream_);
  results.clear();
  *this = ResultDigest();
  results_ = std::move(results);
  stream_ = std::move(stream);
}

void ResultDigest::expect(How how) {
  how_ = how;
  if (begun_) open_.how = weaker(open_.how, how);
}

QueryResult& ResultDigest::current() {
  if (!begun_) {
    open_ = QueryResult();
    open_.how = how_;
    open_.torn = torn_;
    begun_ = true;
  }
  return open_;
}

void ResultDigest::on_piece(const Piece& piece) {
  switch (piece.type) {
    case from_server::kDataRow:
    case from_server::kCopyData:
    case from_server::kFunctionCallResponse:
      return take_row_piece(piece);
    case from_server::kRowDescription:
    case from_server::kParameterDescription:
      return take_description(piece);
    default:
      if (piece.first()) take_first(piece);
  }
}

void ResultDigest::take_first(const Piece& piece) {
  switch (piece.type) {
    case from_server::kCommandComplete:
      return complete(piece.body());
    case from_server::kEmptyQueryResponse:
      return end(QueryResult::Ending::Empty);
    case from_server::kPortalSuspended:
      torn_ = current().torn = true;
      return end(QueryResult::Ending::Suspended);
    case from_server::kErrorResponse:
      return fail(piece.body());
    case from_server::kReadyForQuery:
      return turn(piece.body());
    case from_server::kNoData:
      return append(current().shape, std::uint64_t{0});
    case from_server::kCopyInResponse:
    case from_server::kCopyOutResponse:
    case from_server::kCopyBothResponse: {
      append(current().shape, piece.bytes.substr(0, 1));
      append(current().shape, piece.body());
      const bool binary = !piece.body().empty() && piece.body()[0] == 1;
      copy_head_ = binary && piece.type == from_server::kCopyOutResponse ? kCopyHeadSize : 0;
      return;
    }
    default:
      return;  // says nothing of what was asked
  }
}

void ResultDigest::on_rows(char type, std::string_view whole_messages) {
  while (whole_messages.size() >= kHeaderSize) {
    const std::size_t size = std::size_t{1} + read_u32(whole_messages.data() + 1);
    const std::string_view body = whole_messages.substr(0, size).substr(kHeaderSize);
    take_row(type == from_server::kCopyData ? without_copy_head(body) : body);
    whole_messages.remove_prefix(std::min(size, whole_messages.size()));
  }
}

// The head of binary COPY comes in the message of whichever row comes first.
std::string_view ResultDigest::without_copy_head(std::string_view bytes) {
  const std::size_t head = std::min<std::size_t>(copy_head_, bytes.size());
  copy_head_ = static_cast<std::uint8_t>(copy_head_ - head);
  return bytes.substr(head);
}

void ResultDigest::take_row(std::string_view body) { add_row(hash_of(body), body.size()); }

void ResultDigest::take_row_piece(const Piece& piece) {
  std::string_view bytes = piece.first() ? piece.body() : piece.bytes;
  if (piece.type == from_server::kCopyData) bytes = without_copy_head(bytes);
  if (piece.whole()) {
    take_row(bytes);
  } else {
    if (!stream_) stream_ = std::make_unique<RowStream>();
    if (piece.first()) {
      XXH3_128bits_reset(&stream_->state);
      stream_size_ = 0;
    }
    XXH3_128bits_update(&stream_->state, bytes.data(), bytes.size());
    stream_size_ += bytes.size();
    if (piece.last()) add_row(of(XXH3_128bits_digest(&stream_->state)), stream_size_);
  }
  if (piece.last() && piece.type == from_server::kFunctionCallResponse) {
    end(QueryResult::Ending::Called);
  }
}

void ResultDigest::add_row(const Hash128& hash, std::uint64_t size) {
  QueryResult& result = current();
  ++rows_;
  ++result.rows;
  result.bytes += size;
  result.sum.low += hash.low;
  result.sum.high += hash.high;
  if (result.how == How::Exact) append(result.sequence, hash);
}

void ResultDigest::take_description(const Piece& piece) {
  if (piece.whole()) return describe(piece.type, piece.size, piece.body());
  if (piece.first()) description_.clear();
  if (piece.size <= kDescriptionMax) {
    description_.append(piece.first() ? piece.body() : piece.bytes);
  }
  if (!piece.last()) return;
  describe(piece.type, piece.size, description_);
  std::string().swap(description_);  // rare, and long
}

void ResultDigest::describe(char type, std::size_t size, std::string_view body) {
  QueryResult& result = current();
  append(result.shape, static_cast<std::uint64_t>(type));
  if (size > kDescriptionMax) {
    append(result.shape, size);
  } else if (type == from_server::kParameterDescription) {
    append_parameters(result.shape, body);
  } else {
    result.columns = Columns(body).count();
    append(result.shape, result.columns);
    append_columns(result.shape, Columns(body));
  }
}

void ResultDigest::complete(std::string_view body) {
  const CommandTag tag = split_tag(view_command_tag(body).value_or(body));
  QueryResult& result = current();
  const std::size_t size = std::min(tag.command.size(), result.command.size());
  std::copy_n(tag.command.begin(), size, result.command.begin());
  result.count = tag.count;
  if (writes(result)) written_ += tag.count.value_or(0);
  end(QueryResult::Ending::Complete);
}

void ResultDigest::fail(std::string_view body) {
  QueryResult& result = current();
  const std::string_view sqlstate = sqlstate_of(body);
  std::copy_n(sqlstate.begin(), std::min(sqlstate.size(), result.sqlstate.size()),
              result.sqlstate.begin());
  ++failures_;
  sqlstate_ = result.sqlstate;
  end(QueryResult::Ending::Failed);
}

void ResultDigest::end(QueryResult::Ending ending) {
  QueryResult& result = current();
  result.ending = ending;
  if (results_.size() < kResultsTold) {
    results_.push_back(result);
  } else {
    ++beyond_;
    fold_rest(result);
  }
  if (ending != QueryResult::Ending::Open) last_ = result;
  begun_ = false;
  copy_head_ = 0;
}

void ResultDigest::turn(std::string_view body) {
  if (begun_) end(QueryResult::Ending::Open);
  ++turns_;
  status_ = view_ready(body);
  append(statuses_, body);
}

// As strictly as compare() would compare it.
void ResultDigest::fold_rest(const QueryResult& result) {
  for (std::size_t level = 0; level < rest_.size(); ++level) {
    Hash128& chain = rest_[level];
    const How how = weaker(static_cast<How>(level), result.how);
    append(chain, static_cast<std::uint64_t>(result.ending_for(how)));
    append(chain, result.sqlstate_text());
    if (result.ending == QueryResult::Ending::Failed) continue;
    append(chain, result.shape);
    if (how == How::ShapeOnly) continue;
    append(chain, result.command_text());
    append(chain, result.rows);
    append(chain, result.count ? *result.count + 1 : 0);
    if (how == How::Exact) append(chain, result.sequence);
    if (how == How::Multiset && !result.torn) append(chain, result.sum);
  }
}

}  // namespace crossfade::postgres
