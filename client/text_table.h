// JSON for people: columns for lists, one line per member for single resources.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "control/json/value.h"

namespace crossfade {

// A column: its title, and the path of what stands in it ("config.host"). Several paths, parted by
// commas, are joined by ':' ("config.host,config.port").
struct Column {
  std::string_view title;
  std::string_view path;
};

// A value as one word or sentence: strings bare, null and what is missing as "-", true and false as
// "yes" and "no", arrays of plain values by commas, objects as JSON. Control characters are shown
// as
// '?': what a server or another user has named must not steer a terminal.
std::string plain(const Json* value);

// What stands at a path; nullptr where nothing does.
const Json* at_path(const Json& value, std::string_view path);

// Titles and one line for each element, columns as wide as they must be.
std::string table_of(std::span<const Column> columns, const Json& elements);

// One line for each member that is not an object or an array of objects, by its full path as
// `set` takes it, values in one column.
std::string details_of(const Json& object);

}  // namespace crossfade
