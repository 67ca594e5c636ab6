// Ids, uuids, times, ETags.
#include "control/definitions/identity.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdio>
#include <ctime>

namespace crossfade {

std::string make_uuid() {
  std::array<unsigned char, 16> bytes{};
  // Up to 256 bytes are never interrupted once the kernel's pool is seeded, which it is after boot.
  [[maybe_unused]] const ssize_t filled = getrandom(bytes.data(), bytes.size(), 0);
  assert(filled == static_cast<ssize_t>(bytes.size()));
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);  // version 4
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);  // variant 1
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string uuid;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) uuid += '-';
    uuid += kDigits[bytes[i] >> 4];
    uuid += kDigits[bytes[i] & 15];
  }
  return uuid;
}

bool looks_like_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : std::isxdigit(static_cast<unsigned char>(text[i])) == 0)
      return false;
  }
  return true;
}

std::string rfc3339(std::int64_t unix_seconds) {
  const std::time_t seconds = unix_seconds;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

std::string now_rfc3339() { return rfc3339(std::time(nullptr)); }

std::string read_id(Fields& fields, std::string_view name) {
  std::string id = fields.required_string(name, kIdMax);
  if (fields.failed()) return id;
  const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-.:").find(c) != std::string_view::npos;
  });
  if (id.empty() || !plain || id == "." || id == "..") {
    fields.complain(name, "must be 1 to 128 letters, digits, '_', '-', '.' or ':'");
  } else if (looks_like_uuid(id)) {
    fields.complain(name, "must not have the form of a uuid");
  }
  return id;
}

Identity make_identity(std::string id, Origin origin) {
  const std::string now = now_rfc3339();
  return {.id = std::move(id),
          .uuid = make_uuid(),
          .origin = origin,
          .version = 1,
          .created_at = now,
          .updated_at = now};
}

void touch(Identity& identity, std::string at) {
  ++identity.version;
  identity.updated_at = std::move(at);
}

std::string etag_of(const Identity& identity) {
  return '"' + identity.uuid.substr(0, 8) + '-' + std::to_string(identity.version) + '"';
}

void store_identity(const Identity& identity, Json& into) {
  into.set("id", identity.id);
  into.set("uuid", identity.uuid);
  into.set("origin", identity.origin == Origin::File ? "file" : "api");
  into.set("version", identity.version);
  into.set("created_at", identity.created_at);
  into.set("updated_at", identity.updated_at);
}

Identity stored_identity(Fields& fields) {
  Identity identity;
  identity.id = fields.required_string("id", kIdMax);
  identity.uuid = fields.required_string("uuid", 36);
  identity.origin = fields.required_string("origin", 8) == "file" ? Origin::File : Origin::Api;
  identity.version = fields.whole("version", 1, UINT64_MAX).value_or(1);
  identity.created_at = fields.required_string("created_at", 32);
  identity.updated_at = fields.required_string("updated_at", 32);
  return identity;
}

}  // namespace crossfade
