// FUNCTION LIST WITHCODE of one side and then of the other.
#include "movement/redis_functions.h"

#include <array>
#include <map>
#include <optional>
#include <utility>

#include "movement/redis_fence.h"

namespace crossfade {

namespace {

using Libraries = std::map<std::string, std::string>;  // name -> code

// Of a library as RESP2 tells it: names and values in turn.
std::string field_of(const RedisReply& library, std::string_view name) {
  for (std::size_t i = 0; i + 1 < library.elements.size(); i += 2) {
    if (library.elements[i].text == name) return library.elements[i + 1].text;
  }
  return {};
}

Libraries libraries_in(const RedisReply& listed) {
  Libraries libraries;
  for (const RedisReply& library : listed.elements) {
    libraries[field_of(library, "library_name")] = field_of(library, "library_code");
  }
  return libraries;
}

// Redis 6. Who must not use the command is told so in other words.
bool is_unknown(const RedisReply& reply) {
  return reply.is_error() && reply.text.starts_with("ERR unknown command");
}

// The first library that is not the same in both; nullopt: they are equal.
std::optional<std::string> differing(const Libraries& one, const Libraries& other) {
  for (const auto& [name, code] : one) {
    const auto found = other.find(name);
    if (found == other.end() || found->second != code) return name;
  }
  for (const auto& [name, code] : other) {
    if (!one.contains(name)) return name;
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> compare_functions(const BothLines& lines) {
  std::array<Libraries, 2> libraries;  // index: Side
  for (std::size_t side = 0; side < lines.size(); ++side) {
    auto listed = lines[side]->connection().call({"FUNCTION", "LIST", "WITHCODE"});
    if (!listed) return listed.error();
    if (is_unknown(*listed)) continue;
    if (listed->is_error()) {
      return "the functions of both sides could not be compared: endpoint '" +
             lines[side]->address().id +
             "' refuses FUNCTION LIST: " + words_of_refusal(listed->text);
    }
    libraries[side] = libraries_in(*listed);
  }
  const auto library = differing(libraries[0], libraries[1]);
  if (!library) return std::string();
  return "the functions of both sides differ (library '" + *library +
         "'): compare FUNCTION LIST WITHCODE of both, bring them over by FUNCTION DUMP on the one "
         "and FUNCTION RESTORE on the other, and verify again";
}

}  // namespace crossfade
