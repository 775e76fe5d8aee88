#include "controlplane/store/backup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "controlplane/store/sqlite.h"
#include "controlplane/store/sqlite_schema.h"
#include "controlplane/store/sqlite_state.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

// In SQLite's header: "SQLite format 3\0", and at 18 the version of the format, 2 with a log.
constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr size_t kFormatVersion = 18;

absl::Status Unusable(std::string_view why) {
  return absl::InvalidArgumentError(
      StrCat("this is no usable backup (", why, "); nothing was changed"));
}

absl::Status FileError(std::string_view doing, const std::string& path) {
  return absl::UnavailableError(StrCat("cannot ", doing, " ", path, ": ", strerror(errno)));
}

absl::Status AlreadyThere(const std::string& path) {
  return absl::AlreadyExistsError(
      StrCat(path, " is there already; choose another name, or overwrite it with --force"));
}

absl::Status WriteDurably(int file, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError("write", path);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return ::fsync(file) == 0 ? absl::OkStatus() : FileError("write", path);
}

// Gives the file its name.
absl::Status Publish(const std::string& from, const std::string& to, Overwrite overwrite) {
  const unsigned flags = overwrite == Overwrite::kYes ? 0 : RENAME_NOREPLACE;
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) != 0) {
    return errno == EEXIST ? AlreadyThere(to) : FileError("write", to);
  }
  const std::string directory = fs::absolute(to).parent_path();
  const UniqueFd parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid() || ::fsync(parent.get()) != 0) return FileError("write", directory);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> MakeBackup(const State& state) {
  ASSIGN_OR_RETURN(SqliteDatabase database,
                   SqliteDatabase::Open(":memory:", SqliteDatabase::Mode::kCreate));
  RETURN_IF_ERROR(WriteState(state, &database));
  return database.Serialize();
}

absl::StatusOr<State> ReadBackup(const std::string& bytes) {
  if (bytes.size() < 100 || !std::string_view(bytes).starts_with(kMagic)) {
    return Unusable("it is not an SQLite file");
  }
  if (bytes[kFormatVersion] == 2) {
    return Unusable(
        "it is a copy of a store's own file, which lacks what is in its log; make backups with "
        "`sallyportd backup`");
  }
  ASSIGN_OR_RETURN(const SqliteDatabase database, SqliteDatabase::OpenImage(bytes));
  if (const absl::Status check = CheckSchema(database); !check.ok()) {
    return Unusable(ToStd(check.message()));
  }
  absl::StatusOr<State> state = LoadState(database);
  if (!state.ok()) return Unusable(ToStd(state.status().message()));
  return state;
}

absl::StatusOr<std::string> ReadBackupFile(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) {
    return absl::NotFoundError(StrCat("cannot read ", path, ": ", error.message()));
  }
  if (size > kMaxBackupBytes) return Unusable("it is larger than 1 GiB");
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.good() && !file.eof()) return FileError("read", path);
  return bytes;
}

absl::Status WriteBackupFile(const std::string& path, const std::string& bytes,
                             Overwrite overwrite) {
  std::error_code error;
  if (overwrite == Overwrite::kNo && fs::exists(fs::symlink_status(path, error))) {
    return AlreadyThere(path);
  }
  std::string beside = path + ".XXXXXX";
  const UniqueFd file(::mkostemp(beside.data(), O_CLOEXEC));  // Mode 0600.
  if (!file.valid()) return FileError("write", path);
  absl::Status status = WriteDurably(file.get(), bytes, path);
  if (status.ok()) status = Publish(beside, path, overwrite);
  if (!status.ok()) ::unlink(beside.c_str());
  return status;
}

}  // namespace sallyport
