// Facts of the queries that came lately, by their text; bounded in bytes.
//
// What has not been asked for since the hand of the clock came by last is let go first. Belongs to
// one loop.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/postgres/sql_facts.h"

namespace crossfade::postgres {

class SqlCache {
 public:
  explicit SqlCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // The facts put under exactly this text; nullptr when there are none. Valid until the next put().
  //   cost  one hash and one comparison of the text, no allocation
  const std::shared_ptr<const SqlFacts>* find(std::string_view text);

  // Keeps `facts` under `text`, which find() has just not found; lets others go until the sum fits.
  // A text too large for the whole cache is not kept.
  void put(std::string_view text, std::shared_ptr<const SqlFacts> facts);
  // Likewise, but only for who comes again soon: of a text that comes once nothing is kept.
  //   cost  of the first time one hash, no allocation
  void put_again(std::string_view text, const std::shared_ptr<const SqlFacts>& facts);

  void clear();
  std::size_t bytes() const { return bytes_; }  // texts and facts, about
  std::size_t size() const { return entries_.size() - free_.size(); }

 private:
  static constexpr std::uint32_t kNobody = UINT32_MAX;
  struct Entry {
    std::uint64_t hash = 0;
    std::uint32_t next = kNobody;  // of the same chain
    enum class Use : std::uint8_t {
      Free,
      Kept,
      Asked
    } use = Use::Free;  // Asked: since the hand came by
    std::string text;
    std::shared_ptr<const SqlFacts> facts;
  };
  std::uint32_t& chain_of(std::uint64_t hash) { return chains_[hash & (chains_.size() - 1)]; }
  std::uint32_t take_entry();
  void let_go_one();
  void drop(std::uint32_t index);
  void grow_chains();

  static constexpr std::size_t kOffered = 1024;

  const std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::array<std::uint32_t, kOffered> offered_{};  // parts of hashes: who was put_again() last
  std::uint32_t hand_ = 0;
  std::vector<std::uint32_t> chains_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> free_;
};

// Memory of facts, about, in bytes.
std::size_t weight_of(const SqlFacts& facts);

}  // namespace crossfade::postgres
