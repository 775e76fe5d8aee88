#include "common/base/descriptors.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <algorithm>

#include "common/base/unique_fd.h"

namespace sallyport {

void ReserveDescriptors() {
  constexpr rlim_t kRoom = 1 << 16;
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == 0) return;
  const UniqueFd any(eventfd(0, EFD_CLOEXEC));
  const int last = static_cast<int>(std::min(limit.rlim_cur, kRoom)) - 1;
  // The table stays as large when it is closed.
  const UniqueFd highest(fcntl(any.get(), F_DUPFD_CLOEXEC, last));
}

}  // namespace sallyport
