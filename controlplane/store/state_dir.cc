#include "controlplane/store/state_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "common/base/strings.h"

namespace sallyport {

namespace fs = std::filesystem;

absl::Status MakeStateDir(const std::string& state_dir) {
  std::error_code error;
  if (fs::is_directory(state_dir, error)) return absl::OkStatus();
  fs::create_directories(fs::path(state_dir).parent_path(), error);  // mkdir tells what is wrong.
  if (::mkdir(state_dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::FailedPreconditionError(StrCat("cannot make the state directory ", state_dir, ": ",
                                                strerror(errno),
                                                "; choose another with --state-dir"));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> LockStateDir(const std::string& state_dir) {
  const std::string path = StrCat(state_dir, "/lock");
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) {
    return absl::FailedPreconditionError(
        StrCat("cannot write in the state directory: ", path, ": ", strerror(errno)));
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        StrCat("another sallyportd uses the state directory ", state_dir,
               ": stop it, or choose another with --state-dir; `backup` and `restore` of one that ",
               "runs take --control-plane in its place"));
  }
  return lock;
}

std::string DatabasePath(const std::string& state_dir) {
  return StrCat(state_dir, "/controlplane.db");
}

std::string SecretsKeyPath(const std::string& state_dir) {
  return StrCat(state_dir, "/secrets.key");
}

}  // namespace sallyport
