// Start-up packets: what is known of one stays true when more arrives, and a packet built again of
// what was found in it is the packet.
#include <optional>

#include "protocols/postgres/startup.h"
#include "tests/fuzz/fuzz.h"

namespace crossfade::postgres {
namespace {

using fuzz::require;

void check_again(const Opening& opening, std::string_view packet) {
  std::string again;
  if (const auto* start_up = std::get_if<StartUp>(&opening.kind)) {
    append_start_up(again, start_up->version, start_up->parameters);
    std::string_view left = start_up->parameters;
    std::string parameters;
    while (const auto parameter = next_parameter(left)) {
      append_parameter(parameters, parameter->name, parameter->value);
      require(find_parameter(start_up->parameters, parameter->name).has_value(), "all are found");
    }
    require(parameters == start_up->parameters, "parameters are all there, in order");
    wants_replication(start_up->parameters);
  } else if (const auto* cancel = std::get_if<CancelRequest>(&opening.kind)) {
    append_cancel_request(again, cancel->pid, cancel->key);
  } else {
    return;
  }
  require(again == packet, "a packet is built again as it was");
}

void check(std::string_view bytes, Wire wire) {
  std::optional<std::size_t> known;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const std::vector<char> own(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    const std::string_view here(own.data(), own.size());
    const Opening opening = read_opening(here, wire);
    require(opening.size <= size, "a packet is no longer than what has arrived");
    if (const auto* more = std::get_if<NeedMore>(&opening.kind)) {
      require(!known, "what is known stays known");
      require(more->at_least > 0, "what is missing is something");
      continue;
    }
    if (known) require(*known == opening.kind.index(), "more bytes change nothing");
    known = opening.kind.index();
    check_again(opening, here.substr(0, opening.size));
  }
}

}  // namespace
}  // namespace crossfade::postgres

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using crossfade::postgres::Wire;
  if (size == 0) return 0;
  // Longer ones teach nothing but cost the square of their length.
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, std::min(size - 1, 600ul));
  crossfade::postgres::check(bytes, data[0] % 2 == 0 ? Wire::Plain : Wire::Tls);
  return 0;
}
