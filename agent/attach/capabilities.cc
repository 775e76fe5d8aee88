#include "agent/attach/capabilities.h"

#include <linux/capability.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <string>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

absl::StatusOr<ino_t> UserNamespaceOf(const std::string& process) {
  struct stat file;
  if (stat((process + "/ns/user").c_str(), &file) != 0)
    return absl::ErrnoToStatus(errno, StrCat("cannot look at ", process));
  return file.st_ino;
}

}  // namespace

absl::StatusOr<bool> MayAdministerNetworks(pid_t pid) {
  const std::string process = StrCat("/proc/", pid);
  ASSIGN_OR_RETURN(const ino_t theirs, UserNamespaceOf(process));
  ASSIGN_OR_RETURN(const ino_t ours, UserNamespaceOf("/proc/self"));
  if (theirs != ours) return false;
  // proc_pid_status(5): "CapBnd:\t" and 16 hexadecimal digits.
  constexpr std::string_view kNames[] = {"CapPrm:\t", "CapBnd:\t"};
  std::ifstream status(process + "/status");
  int seen = 0;
  for (std::string line; std::getline(status, line);) {
    for (const std::string_view name : kNames) {
      if (!line.starts_with(name)) continue;
      uint64_t set = 0;
      std::from_chars(line.data() + name.size(), line.data() + line.size(), set, 16);
      if ((set >> CAP_NET_ADMIN & 1) != 0) return true;
      ++seen;
    }
  }
  if (seen != std::size(kNames)) return absl::NotFoundError(StrCat(process, " is gone"));
  return false;
}

}  // namespace sallyport::agent
