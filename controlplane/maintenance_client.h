// The client's end of Maintenance.

#ifndef SALLYPORT_CONTROLPLANE_MAINTENANCE_CLIENT_H_
#define SALLYPORT_CONTROLPLANE_MAINTENANCE_CLIENT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace sallyport {

struct LiveBackup {
  std::string file;
  uint64_t revision = 0;
};
struct Restored {
  uint64_t revision = 0;
  uint64_t classes = 0;
  uint64_t containers = 0;
  uint64_t handlers = 0;
};

// `address` is unix:/PATH or HOST:PORT, which is dialled by the files in `tls_dir`; without it,
// with no TLS. Errors are sentences for the operator.
absl::StatusOr<LiveBackup> BackupLive(const std::string& address, const std::string& tls_dir = "");
absl::StatusOr<Restored> RestoreLive(const std::string& address, const std::string& file,
                                     const std::string& tls_dir = "");

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_MAINTENANCE_CLIENT_H_
