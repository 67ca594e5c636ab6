// Users from JSON and back.
#include "control/definitions/user.h"

#include <algorithm>
#include <utility>

#include "control/json/fields.h"
#include "protocols/base/template_text.h"
#include "protocols/redis/key_user.h"

namespace crossfade {

namespace {

constexpr std::pair<const char*, UserFrom> kSources[] = {{"login", UserFrom::Login},
                                                         {"key", UserFrom::Key},
                                                         {"field", UserFrom::Field},
                                                         {"comment", UserFrom::Comment}};

const char* name_of(UserFrom from) {
  return std::ranges::find(kSources, from, &std::pair<const char*, UserFrom>::second)->first;
}

void read_from(Fields& fields, UserSource& user) {
  const std::string word = fields.required_string("from", kWordMax);
  for (const auto& [name, from] : kSources) {
    if (word != name) continue;
    user.from = from;
    return;
  }
  fields.complain("from", "must be login, key, field or comment");
}

}  // namespace

Result<std::optional<UserSource>> read_user(const Json& json, const std::string& path) {
  if (json.is_null()) return std::optional<UserSource>();
  Fields fields(json, path);
  UserSource user;
  read_from(fields, user);
  if (user.from == UserFrom::Field || user.from == UserFrom::Comment) {
    user.name = fields.required_string("name", kFieldNameMax);
    if (!is_field_name(user.name)) {
      fields.complain("name", "must be 1 to 64 letters, digits, '_', '-' or '.'");
    }
  }
  if (user.from == UserFrom::Key) {
    if (const auto pattern = fields.string("pattern", redis::kKeyPatternMax)) {
      user.pattern = *pattern;
      const auto read = redis::KeyUser::read(user.pattern);
      if (!read) fields.complain("pattern", read.error().reason);
    }
  }
  if (auto error = fields.finish()) return *error;
  return std::optional(std::move(user));
}

Json render(const UserSource& user) {
  Json rendered = Json::object({{"from", name_of(user.from)}});
  if (!user.name.empty()) rendered.set("name", user.name);
  if (!user.pattern.empty()) rendered.set("pattern", user.pattern);
  return rendered;
}

std::optional<std::string> user_objection(EndpointKind kind,
                                          const std::optional<UserSource>& user) {
  if (!user) return std::nullopt;
  switch (user->from) {
    case UserFrom::Login:
      return std::nullopt;
    case UserFrom::Comment:
      if (kind == EndpointKind::Postgres) return std::nullopt;
      return "\"comment\" is of SQL: a Redis interlay tells users by login, key or field";
    case UserFrom::Key:
      if (kind == EndpointKind::Redis) return std::nullopt;
      return "PostgreSQL has no keys: its interlays tell users by login, field or comment";
    case UserFrom::Field:
      return std::nullopt;
  }
  return std::nullopt;
}

UserSource user_of(EndpointKind kind, const std::optional<UserSource>& user) {
  if (user) return *user;
  return {.from = kind == EndpointKind::Redis ? UserFrom::Key : UserFrom::Login};
}

}  // namespace crossfade
