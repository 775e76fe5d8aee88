#include "agent/audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>

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

}  // namespace sallyport::agent
