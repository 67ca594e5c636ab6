// Reading the members of a JSON object, with the path of whatever is wrong.
//
// A reader asks for each member it knows, in any order, and then calls finish(): the first
// complaint wins, and a member that nobody asked for is one. After a complaint every getter returns
// its default, so that the reading code needs no branches.
//
//   Fields fields(json, "strategy");
//   const double share = fields.required_share("read_percentage");
//   if (auto error = fields.finish()) return *error;   // "strategy.read_percentage: must be …"
//
// Messages hold paths, expectations and sorts of values, never values: one of them may be a secret.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/json/value.h"
#include "protocols/base/result.h"

namespace crossfade {

// Bytes of a member that is one of some words, as types, modes and statuses are.
inline constexpr std::size_t kWordMax = 64;

// "strategy" + "type" -> "strategy.type"; "" + "type" -> "type".
std::string join_path(std::string_view path, std::string_view name);
// "endpoints" + 2 -> "endpoints[2]".
std::string join_path(std::string_view path, std::size_t index);

// The error of one place: BadInput, "strategy.type: must be a string".
Error error_at(std::string_view path, std::string_view complaint);

class Fields {
 public:
  // `value` must outlive this. When it is not an object, that is the complaint.
  Fields(const Json& value, std::string path);

  // The member, marked as known; nullptr when it is absent (null is a value of its own here).
  const Json* optional(std::string_view name);
  // As above; absent is a complaint.
  const Json* required(std::string_view name);

  // Absent or null: nullopt. Strings hold at most size_max bytes.
  std::optional<std::string> string(std::string_view name, std::size_t size_max);
  std::string required_string(std::string_view name, std::size_t size_max);
  std::optional<bool> boolean(std::string_view name);
  std::optional<std::uint64_t> whole(std::string_view name, std::uint64_t min, std::uint64_t max);
  // A fraction from 0 to 1, both included.
  std::optional<double> share(std::string_view name);
  double required_share(std::string_view name);

  // Records a complaint about a member of this object.
  void complain(std::string_view name, std::string_view complaint);
  // Records the error of a nested reading, which has its own path.
  void take(const Error& error);
  // Sets `into` to what a nested reading gave, or records its error.
  template <class T>
  void take(Result<T> read, T& into) {
    if (read) {
      into = std::move(*read);
    } else {
      take(read.error());
    }
  }
  bool failed() const { return error_.has_value(); }

  std::string path_of(std::string_view name) const { return join_path(path_, name); }

  // The first complaint; an unknown member is one.
  std::optional<Error> finish();

 private:
  const Json* value_;
  std::string path_;
  std::vector<std::string> known_;
  std::optional<Error> error_;
};

}  // namespace crossfade
