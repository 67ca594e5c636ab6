// Types of parameters, as servers have told them in answer to Describe.
//
// Who declares none in his Parse may pass a value in binary all the same, and what its bytes mean
// hangs on its type. That hangs on the statement and on its database: what one session is told
// holds for all of a loop, and what is told last counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>

namespace crossfade::postgres {

// Parameters whose types are kept; beyond that all are forgotten, and told anew.
inline constexpr std::size_t kToldTypesMax = 4096;

// A parameter that stands at some place in statements of one form, in one database.
class ParameterAt {
 public:
  ParameterAt() = default;
  //   place   a hash of all of that
  //   number  of $n
  ParameterAt(std::uint64_t place, std::uint16_t number) : bits_((place & ~kNumber) | number) {}

  static ParameterAt of(std::uint64_t bits) {
    ParameterAt made;
    made.bits_ = bits;
    return made;
  }
  std::uint64_t bits() const { return bits_; }
  // Whatever its number.
  std::uint64_t place() const { return bits_ & ~kNumber; }
  std::uint16_t number() const { return static_cast<std::uint16_t>(bits_ & kNumber); }

 private:
  static constexpr std::uint64_t kNumber = 0xffff;
  std::uint64_t bits_ = 0;
};

class ToldTypes {
 public:
  // Takes what a server answers to a Describe of its statement.
  //   description  body of a ParameterDescription, as far as it has come
  //   cost         allocates for what was not told before
  void tell(ParameterAt parameter, std::string_view description);
  // An OID; 0: nobody has told it.
  std::uint32_t of(ParameterAt parameter) const;
  std::size_t size() const { return types_.size(); }

 private:
  std::unordered_map<std::uint64_t, std::uint32_t> types_;  // by place
};

}  // namespace crossfade::postgres
