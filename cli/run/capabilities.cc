#include "cli/run/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace sallyport::cli {
namespace {

constexpr std::array kKept = {
    CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_FOWNER,      CAP_FSETID,           CAP_KILL,
    CAP_SETGID,  CAP_SETUID,       CAP_SETPCAP,     CAP_NET_BIND_SERVICE, CAP_NET_ADMIN,
    CAP_NET_RAW, CAP_SYS_CHROOT,   CAP_AUDIT_WRITE, CAP_SETFCAP};

}  // namespace

absl::Status LimitCapabilities() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    if (std::find(kKept.begin(), kKept.end(), capability) != kKept.end()) {
      const unsigned bit = 1u << (capability % 32);
      data[capability / 32].effective |= bit;
      data[capability / 32].permitted |= bit;
    } else if (prctl(PR_CAPBSET_DROP, capability) != 0) {
      return absl::ErrnoToStatus(errno, "cannot drop a capability");
    }
  }
  if (syscall(SYS_capset, &header, data) != 0)
    return absl::ErrnoToStatus(errno, "cannot give up capabilities");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return absl::ErrnoToStatus(errno, "cannot forbid new privileges");
  return absl::OkStatus();
}

}  // namespace sallyport::cli
