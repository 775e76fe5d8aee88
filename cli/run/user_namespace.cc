#include "cli/run/user_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::cli {
namespace {

absl::Status WriteTo(const std::string& path, const std::string& text) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid() || write(file.get(), text.data(), text.size()) < 0)
    return absl::ErrnoToStatus(errno, StrCat("cannot write ", path));
  return absl::OkStatus();
}

// Empty: there is no such setting.
std::string Setting(const std::string& name) {
  std::string path = name;
  for (char& c : path) {
    if (c == '.') c = '/';
  }
  std::ifstream file("/proc/sys/" + path);
  std::string value;
  file >> value;
  return value;
}

// Of what kernels and distributions have to forbid user namespaces, what does.
absl::Status Forbidden(int error) {
  std::string why = std::strerror(error);
  if (Setting("user.max_user_namespaces") == "0") {
    why = "sysctl user.max_user_namespaces is 0; set it to 10000, say";
  } else if (Setting("kernel.unprivileged_userns_clone") == "0") {
    why = "sysctl kernel.unprivileged_userns_clone is 0; set it to 1";
  } else if (Setting("kernel.apparmor_restrict_unprivileged_userns") == "1") {
    why =
        "sysctl kernel.apparmor_restrict_unprivileged_userns is 1; set it to 0, or give this "
        "program an AppArmor profile that permits userns";
  }
  return absl::FailedPreconditionError(StrCat(
      "an ordinary user's sandbox needs a user namespace, and may have none: ", why,
      ". As root `sudo sallyport run …` needs none; --explicit-proxy runs without a sandbox"));
}

// One user and one group: all that a process may map by itself (user_namespaces(7)).
absl::Status MapTo(const User& inside, const User& outside) {
  // Groups that nobody vouches for could not be left, or a process could leave one that denies it
  // something.
  RETURN_IF_ERROR(WriteTo("/proc/self/setgroups", "deny"));
  RETURN_IF_ERROR(WriteTo("/proc/self/uid_map", StrCat(inside.uid, " ", outside.uid, " 1")));
  return WriteTo("/proc/self/gid_map", StrCat(inside.gid, " ", outside.gid, " 1"));
}

}  // namespace

absl::Status BecomeRootOfNamespace(const User& user) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return Forbidden(errno);
  if (!MapTo(User{}, user).ok()) return Forbidden(EPERM);
  return absl::OkStatus();
}

absl::Status BecomeUserAgain(const User& user) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
    return absl::ErrnoToStatus(errno, "cannot leave the sandbox's user namespace");
  return MapTo(user, User{});
}

}  // namespace sallyport::cli
