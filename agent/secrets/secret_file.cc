#include "agent/secrets/secret_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "common/builtin/secret_reference.h"

namespace sallyport::agent {
namespace {

// Relative to the directory, or nothing.
std::string Below(const std::string& directory, const std::string& file) {
  if (!file.starts_with('/')) return file;
  const std::string prefix = directory.ends_with('/') ? directory : directory + "/";
  return file.starts_with(prefix) ? file.substr(prefix.size()) : "";
}

absl::StatusOr<UniqueFd> OpenBelow(const std::string& directory, const std::string& file) {
  const std::string relative = Below(directory, file);
  if (relative.empty()) {
    return absl::PermissionDeniedError(
        StrCat("is not below ", directory, ", where the agent reads secrets (--secrets-dir)"));
  }
  const UniqueFd root(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) {
    return absl::NotFoundError(StrCat("cannot be read: ", directory, ": ", strerror(errno)));
  }
  open_how how = {};
  // A pipe must not keep us.
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  UniqueFd opened(
      static_cast<int>(syscall(SYS_openat2, root.get(), relative.c_str(), &how, sizeof(how))));
  if (opened.valid()) return opened;
  if (errno == EXDEV) {
    return absl::PermissionDeniedError(
        StrCat("leads out of ", directory, ", where the agent reads secrets (--secrets-dir)"));
  }
  return absl::NotFoundError(StrCat("cannot be read: ", strerror(errno)));
}

}  // namespace

absl::StatusOr<std::string> ReadSecretFile(const std::string& directory, const std::string& file) {
  ASSIGN_OR_RETURN(const UniqueFd opened, OpenBelow(directory, file));
  struct stat info = {};
  if (fstat(opened.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError("is not a regular file");
  }
  // A line break more than a secret may have shows a file that is too large.
  std::string text(kMaxSecretBytes + 2, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = read(opened.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::UnavailableError(StrCat("cannot be read: ", strerror(errno)));
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  std::string_view value(text.data(), size);
  if (value.ends_with('\n')) value.remove_suffix(1);
  if (value.ends_with('\r')) value.remove_suffix(1);
  absl::StatusOr<std::string> secret = std::string(value);
  if (const absl::Status valid = CheckSecretValue(value); !valid.ok()) {
    Wipe(&*secret);
    secret = valid;
  }
  Wipe(&text);
  return secret;
}

}  // namespace sallyport::agent
