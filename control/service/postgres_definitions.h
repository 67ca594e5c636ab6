// What two PostgreSQL servers have told by name, compared; and names as a check says them.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "control/service/check.h"
#include "strategies/ports.h"

namespace crossfade {

using Texts = std::map<std::string, std::string>;  // by their names

// "a, b, c and 7 more".
std::string listed(const std::vector<std::string>& names);
std::vector<std::string> missing(const std::set<std::string>& from,
                                 const std::set<std::string>& in);
std::vector<std::string> missing(const Texts& from, const Texts& in);
// Names of what is on both, and differs.
using Differ = std::function<bool(const std::string& on_old, const std::string& on_new)>;
std::vector<std::string> differing(const Texts& from, const Texts& in, const Differ& differ);
inline bool unequal(const std::string& one, const std::string& other) { return one != other; }

// Checks of what is defined for a database beside its tables and functions, of where its sequences
// stand, and of transactions that are prepared. None refuses. Pure.
std::vector<Check> compare_definitions(const PostgresSurvey& old_told,
                                       const PostgresSurvey& new_told);

}  // namespace crossfade
