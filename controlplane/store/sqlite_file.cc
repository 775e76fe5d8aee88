#include "controlplane/store/sqlite_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "controlplane/store/high_water_mark.h"
#include "controlplane/store/sqlite_schema.h"
#include "controlplane/store/sqlite_state.h"

namespace sallyport {
namespace {

// What a store's database becomes once the replacement is durable.
std::string Replacement(const std::string& path) { return path + ".restored"; }
std::string Replaced(const std::string& path) { return path + ".replaced"; }

absl::Status FileError(std::string_view doing, const std::string& path) {
  return absl::UnavailableError(StrCat("cannot ", doing, " ", path, ": ", strerror(errno)));
}

absl::Status Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return FileError(StrCat("rename ", from, " to"), to);
}

absl::Status RenameIfThere(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return FileError(StrCat("rename ", from, " to"), to);
}

absl::Status SyncDirectoryOf(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path();
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return FileError("sync", directory);
  return absl::OkStatus();
}

// As CheckSchema and LoadState say it, in whole sentences.
absl::Status Explain(const std::string& path, const absl::Status& status) {
  // INTERNAL: SQLite cannot make sense of its own schema.
  if (absl::IsDataLoss(status) || absl::IsInternal(status)) {
    return Damaged(path, ToStd(status.message()));
  }
  if (!absl::IsFailedPrecondition(status)) return status;
  return absl::FailedPreconditionError(
      StrCat("cannot use the database ", path, ": ", ToStd(status.message()),
             ": start the sallyportd that wrote it, or move it away or choose another --state-dir; "
             "nothing was changed"));
}

absl::Status WriteFile(const std::string& path, const State& state) {
  ::unlink(path.c_str());  // Left by a kill.
  ::unlink((path + "-journal").c_str());
  ASSIGN_OR_RETURN(SqliteDatabase database,
                   SqliteDatabase::Open(path, SqliteDatabase::Mode::kCreate));
  RETURN_IF_ERROR(database.Execute("PRAGMA synchronous = FULL"));
  return WriteState(state, &database);
}

}  // namespace

absl::Status CreateDatabase(const std::string& path, const State& state) {
  const std::string unfinished = path + ".new";
  RETURN_IF_ERROR(WriteFile(unfinished, state));
  RETURN_IF_ERROR(Rename(unfinished, path));
  return SyncDirectoryOf(path);
}

absl::Status ReplaceDatabase(const std::string& path, const State& state) {
  // Two files are to change, database and log, and a new database beside an old log would be a mix
  // of both. So the replacement gets a name that says it is whole; from then on only it counts.
  RETURN_IF_ERROR(CreateDatabase(Replacement(path), state));
  return FinishReplacing(path);
}

absl::Status FinishReplacing(const std::string& path) {
  if (!std::filesystem::exists(Replacement(path))) return absl::OkStatus();
  RETURN_IF_ERROR(RenameIfThere(path + "-wal", Replaced(path) + "-wal"));
  RETURN_IF_ERROR(RenameIfThere(path, Replaced(path)));
  // Durable in this order: a log that came back would be taken for the new database's.
  HighWaterMark::Remove(path);
  RETURN_IF_ERROR(SyncDirectoryOf(path));
  RETURN_IF_ERROR(Rename(Replacement(path), path));
  return SyncDirectoryOf(path);
}

absl::StatusOr<OpenedDatabase> OpenDatabase(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return FileError("read", path);
  // SQLite would take an empty file for a new database.
  if (info.st_size == 0) return Damaged(path, "it is empty");

  ASSIGN_OR_RETURN(SqliteDatabase database,
                   SqliteDatabase::Open(path, SqliteDatabase::Mode::kExisting));
  // Whoever refuses it afterwards leaves it as it is.
  database.SetTidyOnClose(false);
  // First of all, and nothing is written before it: with this mode the log needs no shared memory.
  RETURN_IF_ERROR(database.Execute("PRAGMA locking_mode = EXCLUSIVE"));
  if (const absl::Status check = CheckSchema(database); !check.ok()) return Explain(path, check);
  absl::StatusOr<State> state = LoadState(database);
  if (!state.ok()) return Explain(path, state.status());
  RETURN_IF_ERROR(database.Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"));
  return OpenedDatabase{std::move(database), *std::move(state)};
}

absl::Status Damaged(const std::string& path, std::string_view why) {
  return absl::DataLossError(StrCat(
      "the database ", path, " is damaged (", why,
      "): restore it with `sallyportd restore --state-dir`, or move it away together with its ",
      "-wal file to begin with an empty store; nothing was changed"));
}

uint64_t RandomEpoch() {
  uint64_t epoch = 0;
  while (epoch == 0) {
    SALLYPORT_CHECK(getrandom(&epoch, sizeof(epoch), 0) == sizeof(epoch));
  }
  return epoch;
}

}  // namespace sallyport
