#include "agent/attach/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

absl::Status PathError(std::string_view doing, const std::string& path) {
  return absl::ErrnoToStatus(errno, StrCat(doing, " ", Quote(path)));
}

absl::Status MakeDirectory(const std::string& path, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(), StrCat("cannot make the directory ", Quote(path)));
  }
  if (chmod(path.c_str(), mode) != 0) return PathError("cannot set the mode of", path);
  return absl::OkStatus();
}

// Ends with this process, however that ends.
absl::StatusOr<UniqueFd> Lock(const std::string& path) {
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return PathError("cannot open", path);
  if (flock(directory.get(), LOCK_EX | LOCK_NB) == 0) return directory;
  if (errno != EWOULDBLOCK) return PathError("cannot lock", path);
  return absl::FailedPreconditionError(
      StrCat("--run-dir ", Quote(path), ": another agent has it; one is enough for a host"));
}

void RemoveContents(const std::string& path, const std::set<std::string>& but) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path, ignored)) {
    if (!but.contains(entry.path().filename())) std::filesystem::remove_all(entry.path(), ignored);
  }
}

absl::Status WriteFile(const std::string& path, mode_t mode, std::string_view content) {
  UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  // The mode is not left to the umask.
  if (!file.valid() || fchmod(file.get(), mode) != 0 ||
      write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    return PathError("cannot write", path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunDirectory>> RunDirectory::Open(
    const std::string& path, const std::set<std::string>& kept) {
  RETURN_IF_ERROR(MakeDirectory(path, 0755));
  ASSIGN_OR_RETURN(UniqueFd lock, Lock(path));
  std::string containers = absl::StrCat(path, "/containers");
  RETURN_IF_ERROR(MakeDirectory(containers, 0711));
  RemoveContents(containers, kept);
  // For handlers' sockets. Its rights are the operator's to change.
  std::error_code ignored;
  std::filesystem::create_directory(absl::StrCat(path, "/handlers"), ignored);
  return std::unique_ptr<RunDirectory>(new RunDirectory(std::move(containers), std::move(lock)));
}

RunDirectory::~RunDirectory() {
  RemoveContents(containers_, {});
  rmdir(containers_.c_str());
  // Stays as long as a handler's socket is in it.
  rmdir((std::filesystem::path(containers_).parent_path() / "handlers").c_str());
}

absl::Status RunDirectory::Store(std::string_view container_id,
                                 const CertificateAuthority& authority) {
  Destroy(container_id);
  const std::string directory = DirectoryOf(container_id);
  RETURN_IF_ERROR(MakeDirectory(directory, 0755));
  absl::Status status = WriteFile(directory + "/ca.crt", 0644, authority.certificate_pem);
  if (!status.ok()) Destroy(container_id);
  return status;
}

void RunDirectory::Destroy(std::string_view container_id) {
  std::error_code ignored;
  std::filesystem::remove_all(DirectoryOf(container_id), ignored);
}

std::string RunDirectory::DirectoryOf(std::string_view container_id) const {
  return StrCat(containers_, "/", container_id);
}

}  // namespace sallyport::agent
