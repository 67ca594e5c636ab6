// Transactions in order, and whose reply each is.
#include "proxy/postgres/shadow_leg.h"

#include <utility>

#include "protocols/postgres/types.h"

namespace crossfade::postgres {

void CopiedTransaction::clear() {
  units.clear();
  answered = {};
  for (ResultDigest& digest : digests) {
    digest.clear();
    digest.expect(How::Exact);
  }
  reads.clear();
  how = How::Exact;
  said.clear();
  tables.clear();
  old_at_ns = 0;
  open = true;
}

void CopiedTransaction::say(std::string_view text, const SqlFacts& facts) {
  if (facts.strongest == SqlClass::Transaction) return;  // BEGIN and COMMIT tell nothing
  if (said.size() < kSaidMax) {
    if (!said.empty()) said += "; ";
    said += text.substr(0, kSaidMax - std::min(kSaidMax, said.size()));
  }
  const auto add = [&](const TableName& table) {
    std::string name = table.schema.empty() ? table.name : table.schema + '.' + table.name;
    const bool there = std::ranges::find(tables, name) != tables.end();
    if (!there && tables.size() < kTablesSaidMax) tables.push_back(std::move(name));
  };
  std::ranges::for_each(facts.read, add);
  std::ranges::for_each(facts.written, add);
}

void ShadowLeg::begin() {
  Owner next = spare_ ? std::move(spare_) : std::make_unique<CopiedTransaction>();
  open_ = next.get();
  under_way_.push(std::move(next));
}

void ShadowLeg::begin_unit(How how, std::uint64_t now_ns) {
  open_->units.push({.how = how, .sent_ns = now_ns});
  open_->how = weaker(open_->how, how);
}

void ShadowLeg::weaken(How how) {
  if (open_->units.empty()) return;
  CopiedTransaction::Unit& unit = open_->units.back();
  unit.how = weaker(unit.how, how);
  open_->how = weaker(open_->how, how);
}

void ShadowLeg::sent(std::uint64_t old_id, std::uint64_t new_id) {
  if (open_->units.empty()) return;
  CopiedTransaction::Unit& unit = open_->units.back();
  if (unit.first[0] == 0) unit.first = {old_id, new_id};
  unit.last = {old_id, new_id};
}

void ShadowLeg::end() {
  if (open_) open_->open = false;
  open_ = nullptr;
}

// The transaction that has the message. Replies to what lies between two of them are nobody's.
CopiedTransaction* ShadowLeg::answering(Side side, std::uint64_t id) {
  const std::size_t which = CopiedTransaction::index(side);
  for (std::size_t& i = first_[which]; i < under_way_.size(); ++i) {
    CopiedTransaction& transaction = at(i);
    if (transaction.answered_by(side)) {
      if (transaction.open) return nullptr;
      continue;
    }
    const auto& unit = transaction.units.at(transaction.answered[which]);
    return unit.first[which] != 0 && unit.first[which] <= id ? &transaction : nullptr;
  }
  return nullptr;
}

std::uint64_t ShadowLeg::on_piece(Side side, std::uint64_t id, const Piece& piece,
                                  std::uint64_t now_ns) {
  CopiedTransaction* const transaction = answering(side, id);
  if (!transaction) return 0;
  const std::size_t which = CopiedTransaction::index(side);
  std::size_t& answered = transaction->answered[which];
  ResultDigest& digest = transaction->digests[which];
  digest.expect(transaction->units.at(answered).how);
  digest.on_piece(piece);
  if (side == Side::Old) transaction->old_at_ns = now_ns;
  if (piece.type != from_server::kReadyForQuery) return 0;
  std::uint64_t sent_ns = 0;
  while (answered < transaction->units.size() &&
         transaction->units.at(answered).last[which] <= id) {
    sent_ns = transaction->units.at(answered).sent_ns;
    ++answered;
  }
  while (transaction->answered[0] > 0 && transaction->answered[1] > 0) {
    transaction->units.pop();
    for (std::size_t& count : transaction->answered) --count;
  }
  return sent_ns;
}

void ShadowLeg::on_rows(Side side, std::uint64_t id, char type, std::string_view rows) {
  CopiedTransaction* const transaction = answering(side, id);
  if (!transaction) return;
  const std::size_t which = CopiedTransaction::index(side);
  ResultDigest& digest = transaction->digests[which];
  digest.expect(transaction->units.at(transaction->answered[which]).how);
  digest.on_rows(type, rows);
}

CopiedTransaction* ShadowLeg::finished() {
  return !under_way_.empty() && at(0).finished() ? under_way_.front().get() : nullptr;
}

void ShadowLeg::pop() {
  put_back(std::move(under_way_.front()));
  under_way_.pop();
  for (std::size_t& first : first_) first -= std::min<std::size_t>(first, 1);
}

std::size_t ShadowLeg::drop_all() {
  const std::size_t dropped = under_way_.size();
  open_ = nullptr;
  first_ = {};
  while (!under_way_.empty()) {
    put_back(std::move(under_way_.front()));
    under_way_.pop();
  }
  return dropped;
}

void ShadowLeg::put_back(Owner spent) {
  spent->clear();
  spare_ = std::move(spent);
}

}  // namespace crossfade::postgres
