#include "controlplane/store/sqlite_schema.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport {
namespace {

// "SLYP", in the file's header.
constexpr int kApplicationId = 0x534c5950;
constexpr int kSchemaVersion = 1;

uint64_t RandomEpoch() {
  uint64_t epoch = 0;
  while (epoch == 0) {
    SALLYPORT_CHECK(getrandom(&epoch, sizeof(epoch), 0) == sizeof(epoch));
  }
  return epoch;
}

absl::Status Damaged(const std::string& path, std::string_view why) {
  return absl::DataLossError(StrCat(
      "the database ", path, " is damaged (", why,
      "): restore it from a backup, or move it away together with its -wal file to begin with an ",
      "empty store; nothing was changed"));
}

absl::Status Foreign(const std::string& path, std::string_view why) {
  return absl::FailedPreconditionError(
      StrCat(path, " is not a Sallyport database (", why,
             "): move it away or choose another --state-dir; nothing was changed"));
}

absl::Status SyncDirectoryOf(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path();
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) {
    return absl::UnavailableError(StrCat("cannot sync ", directory, ": ", strerror(errno)));
  }
  return absl::OkStatus();
}

absl::Status WriteSchema(SqliteDatabase* database) {
  std::string sql = StrCat("PRAGMA application_id = ", kApplicationId,
                           "; CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) ",
                           "WITHOUT ROWID;");
  for (const Change::Table table : kTables) {
    sql += StrCat("CREATE TABLE ", TableName(table),
                  " (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, value BLOB NOT NULL,",
                  " checksum INTEGER NOT NULL) WITHOUT ROWID;");
  }
  // SQLite's integers are signed: the epoch is stored as the same 64 bits.
  sql += StrCat("INSERT INTO meta VALUES ('schema_version', ", kSchemaVersion, "), ('epoch', ",
                static_cast<int64_t>(RandomEpoch()), "), ('revision', 0);");
  RETURN_IF_ERROR(database->Execute("PRAGMA synchronous = FULL"));
  return database->Execute(StrCat("BEGIN IMMEDIATE; ", sql, " COMMIT"));
}

absl::StatusOr<int64_t> Meta(const SqliteDatabase& database, const std::string& key) {
  ASSIGN_OR_RETURN(SqliteStatement statement,
                   SqliteStatement::Prepare(database, "SELECT value FROM meta WHERE key = ?"));
  statement.BindText(1, key);
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return Damaged(database.path(), StrCat("no ", key));
  return statement.Int(0);
}

using VisitRow =
    std::function<bool(const std::string& key, uint64_t revision, const std::string& value)>;

// Visits the rows; `visit` says whether the value is usable.
absl::Status ReadTable(const SqliteDatabase& database, Change::Table table, const VisitRow& visit) {
  ASSIGN_OR_RETURN(
      SqliteStatement rows,
      SqliteStatement::Prepare(
          database, StrCat("SELECT key, revision, value, checksum FROM ", TableName(table))));
  while (true) {
    ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return absl::OkStatus();
    const std::string key = rows.Bytes(0);
    const auto revision = static_cast<uint64_t>(rows.Int(1));
    const std::string value = rows.Bytes(2);
    if (rows.Int(3) != RowChecksum(table, key, revision, value) || !visit(key, revision, value)) {
      return Damaged(database.path(),
                     StrCat("row ", Quote(key), " of ", TableName(table), " is not as written"));
    }
  }
}

}  // namespace

const char* TableName(Change::Table table) {
  switch (table) {
    case Change::Table::kClasses:
      return "classes";
    case Change::Table::kContainers:
      return "containers";
    case Change::Table::kHandlers:
      return "handlers";
    case Change::Table::kPlacements:
      return "placements";
  }
  SALLYPORT_CHECK(false);
}

// FNV-1a, 64 bits: against accidents, not against an attacker, who could write the checksum too.
int64_t RowChecksum(Change::Table table, std::string_view key, uint64_t revision,
                    std::string_view value) {
  uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](std::string_view bytes) {
    for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  };
  add(StrCat(static_cast<int>(table), "|", key.size(), "|", revision, "|"));
  add(key);
  add(value);
  return static_cast<int64_t>(hash);
}

absl::Status CreateDatabase(const std::string& path) {
  const std::string unfinished = path + ".new";
  ::unlink(unfinished.c_str());  // Left by a kill.
  ::unlink((unfinished + "-journal").c_str());
  {
    ASSIGN_OR_RETURN(SqliteDatabase database,
                     SqliteDatabase::Open(unfinished, SqliteDatabase::Mode::kCreate));
    RETURN_IF_ERROR(WriteSchema(&database));
  }
  if (::rename(unfinished.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(StrCat("cannot make ", path, ": ", strerror(errno)));
  }
  return SyncDirectoryOf(path);
}

absl::StatusOr<SqliteDatabase> OpenDatabase(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) {
    return absl::UnavailableError(StrCat("cannot read ", path, ": ", strerror(errno)));
  }
  // SQLite would take an empty file for a new database.
  if (info.st_size == 0) return Damaged(path, "it is empty");

  ASSIGN_OR_RETURN(SqliteDatabase database,
                   SqliteDatabase::Open(path, SqliteDatabase::Mode::kExisting));
  // First of all, and nothing is written before it: with this mode the log needs no shared memory.
  RETURN_IF_ERROR(database.Execute("PRAGMA locking_mode = EXCLUSIVE"));
  const absl::StatusOr<std::string> id = database.QueryText("PRAGMA application_id");
  if (!id.ok()) {
    return absl::IsDataLoss(id.status()) ? Damaged(path, ToStd(id.status().message()))
                                         : id.status();
  }
  if (*id != StrCat(kApplicationId)) return Foreign(path, "its application id is another");

  const absl::StatusOr<std::string> check = database.QueryText("PRAGMA quick_check(1)");
  if (!check.ok()) return Damaged(path, ToStd(check.status().message()));
  if (*check != "ok") return Damaged(path, *check);

  ASSIGN_OR_RETURN(const int64_t version, Meta(database, "schema_version"));
  if (version != kSchemaVersion) {
    return absl::FailedPreconditionError(
        StrCat("the database ", path, " has schema ", version, " and this sallyportd reads schema ",
               kSchemaVersion, ": start the newer sallyportd that wrote it; nothing was changed"));
  }
  RETURN_IF_ERROR(database.Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"));
  return database;
}

absl::StatusOr<State> LoadState(const SqliteDatabase& database) {
  State state;
  ASSIGN_OR_RETURN(const int64_t epoch, Meta(database, "epoch"));
  ASSIGN_OR_RETURN(const int64_t revision, Meta(database, "revision"));
  if (epoch == 0 || revision < 0) return Damaged(database.path(), "its epoch or revision is wrong");
  state.epoch = static_cast<uint64_t>(epoch);
  state.revision = static_cast<uint64_t>(revision);

  RETURN_IF_ERROR(
      ReadTable(database, Change::Table::kClasses,
                [&state](const std::string& key, uint64_t row_revision, const std::string& value) {
                  v1::ContainerClass message;
                  if (!message.ParseFromString(value) || message.name() != key) return false;
                  state.SetClass(std::move(message), row_revision);
                  return true;
                }));
  RETURN_IF_ERROR(
      ReadTable(database, Change::Table::kContainers,
                [&state](const std::string& key, uint64_t row_revision, const std::string& value) {
                  v1::ContainerPolicy message;
                  if (!message.ParseFromString(value) || message.container_id() != key)
                    return false;
                  state.SetContainer(std::move(message), row_revision);
                  return true;
                }));
  RETURN_IF_ERROR(
      ReadTable(database, Change::Table::kHandlers,
                [&state](const std::string& key, uint64_t row_revision, const std::string& value) {
                  v1::Handler message;
                  if (!message.ParseFromString(value) || message.name() != key) return false;
                  state.SetHandler(std::move(message), row_revision);
                  return true;
                }));
  RETURN_IF_ERROR(ReadTable(database, Change::Table::kPlacements,
                            [&state](const std::string& key, uint64_t, const std::string& value) {
                              if (state.containers.Find(key) == nullptr) return false;
                              state.Place(key, value);
                              return true;
                            }));
  return state;
}

}  // namespace sallyport
