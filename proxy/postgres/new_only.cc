// Counting what commits, by its commands and by ReadyForQuery.
#include "proxy/postgres/new_only.h"

#include <utility>

#include "protocols/postgres/backend.h"

namespace crossfade::postgres {

namespace {
// What a CommandComplete says; its body ends with a zero.
std::string_view command_of(std::string_view body) { return body.substr(0, body.find('\0')); }

// It begins a transaction, or ends one that was counted when it was prepared.
bool does_nothing_itself(std::string_view command) {
  return command == "BEGIN" || command == "START TRANSACTION" || command == "COMMIT PREPARED" ||
         command == "ROLLBACK PREPARED";
}
}  // namespace

bool calls_code(std::string_view command) { return command == "CALL" || command == "DO"; }

void NewOnly::asks(const Unit& more) { part_.add(more); }

void NewOnly::sent(std::uint64_t id) {
  part_.id = id;
  units_.push(std::exchange(part_, Unit()));
}

NewOnly::Counts NewOnly::note(std::uint64_t id, char type, std::string_view body) {
  switch (type) {
    case from_server::kCommandComplete:
      return completed(command_of(body));
    case from_server::kPortalSuspended:
    case from_server::kFunctionCallResponse:
      ran_ = true;
      break;
    case from_server::kErrorResponse:
      failed_ = true;
      break;
    case from_server::kReadyForQuery:
      return ready(id, view_ready(body).value_or(Transaction::Failed));
    default:
      break;
  }
  return Counts::Nothing;
}

// A COMMIT of what has failed says ROLLBACK, and so does ROLLBACK TO, which ends nothing.
NewOnly::Counts NewOnly::completed(std::string_view command) {
  if (command == "COMMIT" || command == "PREPARE TRANSACTION") {
    called_ = false;
    const bool ran = std::exchange(ran_, false) || std::exchange(undone_, false);
    const bool wrote = std::exchange(wrote_, false) || (ran && current().writes);
    end_ = End::Commit;
    return wrote ? Counts::One : Counts::Nothing;
  }
  if (command == "ROLLBACK") {
    undone_ |= std::exchange(ran_, false);
    called_ = false;
    end_ = End::Rollback;
  } else if (!does_nothing_itself(command)) {
    ran_ = true;
    called_ |= calls_code(command);
  }
  return Counts::Nothing;
}

NewOnly::Counts NewOnly::ready(std::uint64_t id, Transaction status) {
  const Unit unit = take_through(id);
  Counts counts = Counts::Nothing;
  if (status == Transaction::Idle) {
    counts = ended(unit);
    wrote_ = false;
  } else {
    wrote_ |= (ran_ || undone_) && unit.writes;
  }
  ran_ = undone_ = failed_ = called_ = false;
  end_ = End::None;
  return counts;
}

// What has run behind the last end of a transaction is one of its own.
NewOnly::Counts NewOnly::ended(const Unit& unit) const {
  if (failed_) return unit.hidden && unit.ends ? Counts::Unsure : Counts::Nothing;
  const bool wrote = (ran_ && unit.writes) || (wrote_ && end_ == End::None);
  if (!wrote) return Counts::Nothing;
  return called_ && unit.commits_unseen ? Counts::Unsure : Counts::One;
}

NewOnly::Unit NewOnly::take_through(std::uint64_t id) {
  Unit all;
  while (!units_.empty() && units_.front().id <= id) {
    all.add(units_.front());
    units_.pop();
  }
  return all;
}

NewOnly::Counts NewOnly::unanswered() {
  bool writes = wrote_ || part_.writes;
  bool ends = part_.ends;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    writes |= units_.at(i).writes;
    ends |= units_.at(i).ends;
  }
  forget();
  return writes && ends ? Counts::Unsure : Counts::Nothing;
}

bool NewOnly::end_block() { return std::exchange(wrote_, false); }

}  // namespace crossfade::postgres
