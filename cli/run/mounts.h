// What of the file system a sandbox sees differently.

#ifndef SALLYPORT_CLI_RUN_MOUNTS_H_
#define SALLYPORT_CLI_RUN_MOUNTS_H_

#include <string>

#include "absl/status/status.h"

namespace sallyport::cli {

inline constexpr char kCertificateFolder[] = "/etc/sallyport/certs";
inline constexpr char kCertificatePath[] = "/etc/sallyport/certs/sallyport-ca.crt";
inline constexpr char kBundlePath[] = "/etc/sallyport/certs/bundle.crt";

// REQUIRES: a mount and a PID namespace of this process's own, and a CertificateFolder. Afterwards
// - /proc shows the sandbox's processes only,
// - /run is empty: sockets of the agent, of container engines and of name service daemons are out
// of sight,
// - kCertificateFolder holds the CA and the bundle, read-only,
// - the file with the system's roots, if there is one, is the bundle, and cannot be replaced,
// - /etc/resolv.conf names an address that the agent answers for.
absl::Status PrepareMounts(const std::string& ca_certificate, const std::string& bundle);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_MOUNTS_H_
