// Finding a command by name: an open-addressed hash over names packed into two words.
//
// A name of up to 16 bytes is told apart by its size, its first and its last 8 bytes; only longer
// ones are compared as text.
#include "protocols/redis/command.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace crossfade::redis {
namespace {

constexpr std::size_t kPackedMax = 16;
constexpr std::size_t kNameMax = 128;  // "container|subcommand" beyond this is nobody's name

constexpr std::uint64_t kEvery = 0x0101010101010101;

// Lower-cases the ASCII letters among eight bytes at once.
constexpr std::uint64_t lower(std::uint64_t word) {
  const std::uint64_t low = word & (0x7f * kEvery);
  const std::uint64_t from_a = low + (0x80 - 'A') * kEvery;    // top bit: at least 'A'
  const std::uint64_t beyond_z = low + (0x7f - 'Z') * kEvery;  // top bit: more than 'Z'
  const std::uint64_t capital = from_a & ~beyond_z & ~word & (0x80 * kEvery);
  return word | (capital >> 2);
}

template <class Word>
std::uint64_t load(const char* from) {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

struct Packed {
  std::uint64_t head;
  std::uint64_t tail;
};

Packed pack(std::string_view name) {
  const char* const from = name.data();
  const std::size_t size = name.size();
  if (size >= 8) {
    return {lower(load<std::uint64_t>(from)), lower(load<std::uint64_t>(from + size - 8))};
  }
  if (size >= 4) {
    return {lower(load<std::uint32_t>(from)), lower(load<std::uint32_t>(from + size - 4))};
  }
  if (size == 0) return {0, 0};
  const auto byte = [&](std::size_t at) {
    return std::uint64_t{static_cast<unsigned char>(from[at])};
  };
  return {lower(byte(0) | byte(size / 2) << 8 | byte(size - 1) << 16), 0};
}

std::size_t hash(Packed packed, std::size_t size) {
  const std::uint64_t mixed =
      (packed.head ^ std::rotl(packed.tail, 29) ^ size) * 0x9e3779b97f4a7c15;
  return static_cast<std::size_t>(mixed >> 40);
}

bool same_text(std::string_view lower_case, std::string_view name) {
  const auto lower_char = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  };
  return std::equal(lower_case.begin(), lower_case.end(), name.begin(), name.end(),
                    [&](char left, char right) { return left == lower_char(right); });
}

}  // namespace

CommandTable::CommandTable(std::vector<CommandSpec> specs) {
  specs_.reserve(specs.size());
  // At least four slots a name keep the chains short.
  slots_.resize(std::bit_ceil(std::max<std::size_t>(specs.size(), 4) * 4));
  for (CommandSpec& spec : specs) insert(std::move(spec));
  for (const CommandSpec& spec : specs_) {
    const std::size_t bar = spec.name.find('|');
    if (bar == spec.name.npos) continue;
    const Slot* const container = find_slot(std::string_view(spec.name).substr(0, bar));
    if (container != nullptr) specs_[container->index].has_subcommands = true;
  }
}

void CommandTable::insert(CommandSpec spec) {
  if (spec.name.empty() || spec.name.size() > kNameMax) return;
  if (const Slot* const known = find_slot(spec.name)) {
    specs_[known->index] = std::move(spec);
    return;
  }
  const Packed packed = pack(spec.name);
  std::size_t at = hash(packed, spec.name.size()) & (slots_.size() - 1);
  while (slots_[at].size != 0) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {.head = packed.head,
                .tail = packed.tail,
                .index = static_cast<std::uint32_t>(specs_.size()),
                .size = static_cast<std::uint16_t>(spec.name.size()),
                .subcommand = spec.name.find('|') != spec.name.npos};
  specs_.push_back(std::move(spec));
}

const CommandTable::Slot* CommandTable::find_slot(std::string_view name) const {
  const Packed packed = pack(name);
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash(packed, name.size()) & mask;
  for (; slots_[at].size != 0; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.head != packed.head || slot.tail != packed.tail || slot.size != name.size()) continue;
    if (name.size() <= kPackedMax || same_text(specs_[slot.index].name, name)) return &slot;
  }
  return nullptr;
}

const CommandSpec* CommandTable::find(std::string_view name) const {
  const Slot* const slot = find_slot(name);
  // "client|reply" is our name for a subcommand, not something a client can call.
  return slot != nullptr && !slot->subcommand ? &specs_[slot->index] : nullptr;
}

const CommandSpec* CommandTable::find(std::string_view container,
                                      std::string_view subcommand) const {
  std::array<char, kNameMax> name;
  if (container.size() + 1 + subcommand.size() > name.size()) return nullptr;
  char* end = std::copy(container.begin(), container.end(), name.data());
  *end++ = '|';
  end = std::copy(subcommand.begin(), subcommand.end(), end);
  const Slot* const slot = find_slot({name.data(), static_cast<std::size_t>(end - name.data())});
  return slot != nullptr && slot->subcommand ? &specs_[slot->index] : nullptr;
}

}  // namespace crossfade::redis
