// Checks before anything is written.
#include "control/store/database_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace crossfade {

namespace {

std::string named(const char* doing, const std::string& path, const DatabaseKind& kind) {
  return std::string(doing) + " " + kind.word + " " + path;
}

Error refused(const std::string& path, const DatabaseKind& kind, const std::string& why) {
  return Error{Errc::BadConfig, named("open", path, kind),
               why +
                   "; it was left as it is. Put a good copy in its place, or move it (and its "
                   "-wal and -shm files) away " +
                   kind.without_it};
}

// Creates the file if it is missing, readable by its owner only, before SQLite would with the
// umask.
Status create_private(const std::string& path, const DatabaseKind& kind) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return Error{Errc::System, named("open", path, kind),
                 std::string(std::strerror(errno)) +
                     "; its folder must exist and the file must be writable"};
  }
  std::array<char, 16> head{};
  const ssize_t size = pread(descriptor, head.data(), head.size(), 0);
  ::close(descriptor);
  if (size < 0) return Error{Errc::System, named("read", path, kind), std::strerror(errno)};
  const std::string_view magic("SQLite format 3\0", 16);
  if (size != 0 && std::string_view(head.data(), static_cast<std::size_t>(size)) != magic) {
    return refused(path, kind, std::string("it is not a crossfade ") + kind.word);
  }
  return success();
}

Result<std::int64_t> pragma(Sqlite& sqlite, const std::string& name) {
  auto rows = sqlite.query("PRAGMA " + name);
  if (!rows) return rows.error();
  return rows->empty() ? 0 : rows->front().front().number;
}

// Refuses what is not a whole file of a schema we know, before anything is written to it.
Status check(Sqlite& sqlite, const std::string& path, const DatabaseKind& kind) {
  const auto integrity = sqlite.query("PRAGMA quick_check(1)");
  if (!integrity) return refused(path, kind, "it is damaged (" + integrity.error().reason + ")");
  if (integrity.value().empty() || integrity.value().front().front().text != "ok") {
    return refused(path, kind, "it is damaged");
  }
  const auto application = pragma(sqlite, "application_id");
  const auto schema = pragma(sqlite, "user_version");
  const auto tables = sqlite.query("SELECT count(*) FROM sqlite_master");
  if (!application || !schema || !tables) return refused(path, kind, "it can not be read");
  if (tables.value().front().front().number == 0 && schema.value() == 0) return success();
  if (application.value() != kind.application_id) {
    return refused(path, kind, "it belongs to another program");
  }
  if (schema.value() > kind.schema) {
    return refused(path, kind,
                   "it was written by a newer crossfade (schema " + std::to_string(schema.value()) +
                       ", this one knows " + std::to_string(kind.schema) + ")");
  }
  return success();
}

// A full disk must keep nobody from starting, and from rolling back: room for many changes is taken
// while there is some, in the file (free pages) and in its write-ahead log (which is written from
// its beginning again after each checkpoint). On a full disk an earlier call has done it.
void reserve_room(Sqlite& sqlite, const std::string& path) {
  constexpr std::uintmax_t kSpare = 1u << 20;
  std::error_code ignored;
  if (std::filesystem::space(path, ignored).available < kSpare) return;
  constexpr const char* kTake =
      "CREATE TABLE reserve (room BLOB); INSERT INTO reserve VALUES (zeroblob(262144))";
  constexpr const char* kGiveBack = "DROP TABLE IF EXISTS reserve";
  (void)sqlite.run(kGiveBack);
  (void)sqlite.run(kTake);
  (void)sqlite.run(kGiveBack);
  (void)sqlite.query("PRAGMA wal_checkpoint(RESTART)");
}

Status prepare(Sqlite& sqlite, const std::string& path, const DatabaseKind& kind) {
  if (Status status = check(sqlite, path, kind); !status) return status;
  // FULL: a commit is on the disk, not only with the operating system, when it returns.
  if (Status status = sqlite.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"); !status) {
    return status;
  }
  const auto schema = pragma(sqlite, "user_version");
  if (!schema) return schema.error();
  if (schema.value() == 0) {
    if (Status status = sqlite.run(kind.create); !status) return status;
  }
  for (std::int64_t from = schema.value(); from > 0 && from < kind.schema; ++from) {
    if (Status status = sqlite.run(kind.upgrades[static_cast<std::size_t>(from - 1)]); !status) {
      return status;
    }
  }
  reserve_room(sqlite, path);
  return success();
}

}  // namespace

Status check_not_lost(const std::string& path, const DatabaseKind& kind,
                      std::initializer_list<const char*> suffixes) {
  const auto has_bytes = [](const std::string& name) {
    std::error_code missing;
    const std::uintmax_t size = std::filesystem::file_size(name, missing);
    return !missing && size > 0;
  };
  if (has_bytes(path)) return success();
  for (const char* suffix : suffixes) {
    if (!has_bytes(path + suffix)) continue;
    return Error{Errc::BadConfig, named("open", path, kind),
                 "it is missing or empty, and " + path + suffix +
                     " is not, so what it had is lost; nothing was changed. Put a good copy in its "
                     "place, or move all files whose names begin with its name away " +
                     kind.without_it};
  }
  return success();
}

Result<Sqlite> open_database(const std::string& path, const DatabaseKind& kind) {
  if (const Status status = check_not_lost(path, kind, {"-wal"}); !status) return status.error();
  if (const Status status = create_private(path, kind); !status) return status.error();
  auto sqlite = Sqlite::open(path, kind.word);
  if (!sqlite) return sqlite.error();
  if (const Status status = prepare(*sqlite, path, kind); !status) return status.error();
  return sqlite;
}

}  // namespace crossfade
