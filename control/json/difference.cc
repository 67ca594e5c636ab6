// Walking two forms at once.
#include "control/json/difference.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

#include "control/json/write.h"

namespace crossfade {

namespace {

const Json kAbsent;

// What is at the same place of both forms of a thing.
struct Place {
  const Json& whole;
  const Json& shown;

  Place member(const std::string& name) const { return {at(whole, name), at(shown, name)}; }
  bool is_secret() const { return !(whole == shown); }

 private:
  static const Json& at(const Json& json, const std::string& name) {
    const Json* found = json.find(name);
    return found == nullptr ? kAbsent : *found;
  }
};

// Names may be anybody's words.
std::string named(const std::string& path, const std::string& name) {
  const bool plain = !name.empty() && std::ranges::all_of(name, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-:").find(c) != std::string_view::npos;
  });
  return (path.empty() ? "" : path + ".") + (plain ? name : to_text(Json(name)));
}

std::vector<std::string> names_of(const Json& before, const Json& after) {
  std::vector<std::string> names;
  for (const Json* json : {&before, &after}) {
    if (json->members() == nullptr) continue;
    for (const auto& [name, value] : *json->members()) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

bool may_have_members(const Json& json) { return json.members() != nullptr || json.is_null(); }

void compare(const std::string& path, const Place& before, const Place& after,
             std::vector<std::string>& told) {
  if (before.whole == after.whole) return;
  const bool both = before.whole.members() != nullptr && after.whole.members() != nullptr;
  if (!both && !before.is_secret() && !after.is_secret()) {
    const std::string from = to_text(before.whole);
    const std::string to = to_text(after.whole);
    if (from.size() <= kValueToldMax && to.size() <= kValueToldMax) {
      told.push_back(path + " from " + from + " to " + to);
      return;
    }
  }
  const std::size_t so_far = told.size();
  if (may_have_members(before.whole) && may_have_members(after.whole)) {
    for (const std::string& name : names_of(before.whole, after.whole)) {
      compare(named(path, name), before.member(name), after.member(name), told);
    }
  }
  if (told.size() == so_far) told.push_back(path + " changed");
}

}  // namespace

std::string difference(const Form& before, const Form& after) {
  std::vector<std::string> told;
  if (!(before.whole == after.whole)) {
    compare("", {before.whole, before.shown}, {after.whole, after.shown}, told);
  }
  std::string text;
  for (std::size_t i = 0; i < told.size() && i < kToldMax; ++i) {
    text += (i == 0 ? "" : ", ") + told[i];
  }
  if (told.size() > kToldMax) {
    text += ", and " + std::to_string(told.size() - kToldMax) + " more";
  }
  return text;
}

}  // namespace crossfade
