#include "agent/audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

constexpr int kFlags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

}  // namespace

absl::StatusOr<UniqueFd> OpenAuditFile(std::string_view field, const std::string& path) {
  if (path.empty() || path.front() != '/') {
    return absl::InvalidArgumentError(StrCat(field, ": ", Quote(path), " is not absolute"));
  }
  UniqueFd file(open(path.c_str(), kFlags));
  // Not O_CREAT at once: in directories like /tmp that is refused for what belongs to another user.
  if (!file.valid() && errno == ENOENT)
    file.Reset(open(path.c_str(), kFlags | O_CREAT | O_EXCL, 0600));
  if (!file.valid()) {
    const int error = errno;
    if (error == ENXIO) {
      return absl::FailedPreconditionError(
          StrCat(field, ": nobody reads ", Quote(path), "; open it for reading first"));
    }
    return absl::InvalidArgumentError(StrCat(
        field, ": ", Quote(path), " cannot be opened: ", std::generic_category().message(error)));
  }
  struct stat found;
  if (fstat(file.get(), &found) != 0 ||
      !(S_ISREG(found.st_mode) || S_ISFIFO(found.st_mode) || S_ISCHR(found.st_mode))) {
    return absl::InvalidArgumentError(StrCat(field, ": ", Quote(path), " is no file to append to"));
  }
  return file;
}

absl::StatusOr<UniqueFd> StdoutForAudit() {
  UniqueFd file(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!file.valid())
    return absl::FailedPreconditionError("--audit stdout: there is no standard output");
  struct stat found;
  const int flags = fcntl(file.get(), F_GETFL);
  if (flags < 0 || fstat(file.get(), &found) != 0)
    return absl::ErrnoToStatus(errno, "--audit stdout");
  // What a terminal is made, it is for the shell, too.
  const int more = S_ISFIFO(found.st_mode) || S_ISSOCK(found.st_mode) ? O_NONBLOCK : 0;
  if (fcntl(file.get(), F_SETFL, flags | O_APPEND | more) != 0)
    return absl::ErrnoToStatus(errno, "--audit stdout cannot be written to as records need it");
  return file;
}

}  // namespace sallyport::agent
