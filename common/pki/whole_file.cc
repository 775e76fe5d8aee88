#include "common/pki/whole_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::pki {
namespace {

absl::Status CannotWrite(const std::string& path, int error) {
  return absl::FailedPreconditionError(StrCat("cannot write ", path, ": ", strerror(error)));
}

absl::Status WriteTo(const std::string& path, std::string_view content, mode_t mode) {
  const UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!file.valid()) return CannotWrite(path, errno);
  // The umask may have taken more away.
  if (::fchmod(file.get(), mode) != 0) return CannotWrite(path, errno);
  while (!content.empty()) {
    const ssize_t count = ::write(file.get(), content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return CannotWrite(path, errno);
    content.remove_prefix(static_cast<size_t>(count));
  }
  return ::fsync(file.get()) == 0 ? absl::OkStatus() : CannotWrite(path, errno);
}

}  // namespace

absl::Status WriteWholeFile(const std::string& path, std::string_view content, mode_t mode) {
  const std::string beside = StrCat(path, ".new");
  ::unlink(beside.c_str());  // Of a run that was killed.
  absl::Status status = WriteTo(beside, content, mode);
  if (status.ok() && ::rename(beside.c_str(), path.c_str()) != 0) {
    status = CannotWrite(path, errno);
  }
  if (!status.ok()) {
    ::unlink(beside.c_str());
    return status;
  }
  const std::string directory = std::filesystem::path(path).parent_path();
  const UniqueFd parent(
      ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid() || ::fsync(parent.get()) != 0) return CannotWrite(path, errno);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const int error = errno;
    const std::string message = StrCat("cannot read ", path, ": ", strerror(error));
    return error == ENOENT ? absl::NotFoundError(message) : absl::FailedPreconditionError(message);
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace sallyport::pki
