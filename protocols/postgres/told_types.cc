// Types of parameters in a map that is never too large.
#include "protocols/postgres/told_types.h"

#include "protocols/postgres/fields.h"

namespace crossfade::postgres {

void ToldTypes::tell(ParameterAt parameter, std::string_view description) {
  Fields fields(description);
  const std::size_t count = fields.u16();
  const std::size_t number = parameter.number();
  if (number == 0 || number > count) return;
  fields.bytes(4 * (number - 1));
  const std::uint32_t type = fields.u32();
  if (!fields.ok()) return;
  if (types_.size() >= kToldTypesMax && !types_.contains(parameter.place())) types_.clear();
  types_[parameter.place()] = type;
}

std::uint32_t ToldTypes::of(ParameterAt parameter) const {
  const auto found = types_.find(parameter.place());
  return found == types_.end() ? 0 : found->second;
}

}  // namespace crossfade::postgres
