// What of the file system a sandbox sees differently.

#ifndef SALLYPORT_CLI_RUN_MOUNTS_H_
#define SALLYPORT_CLI_RUN_MOUNTS_H_

#include <string>

#include "absl/status/status.h"

namespace sallyport::cli {

inline constexpr char kCertificateFolder[] = "/etc/sallyport/certs";
// In the sandbox's own /run, for a user who may make no folder on the host.
inline constexpr char kOwnCertificateFolder[] = "/run/sallyport/certs";

// Writes the CA and the bundle there.
absl::Status WriteCertificates(const std::string& folder, const std::string& ca_certificate,
                               const std::string& bundle);

// REQUIRES: a mount and a PID namespace of this process's own, and a CertificateFolder where
// `certificates` is on the host. Afterwards
// - /proc shows the sandbox's processes only,
// - /run is empty: sockets of the agent, of container engines and of name service daemons are out
// of sight,
// - `certificates` holds the CA and the bundle, read-only,
// - `services`, if it is not empty, is an empty folder,
// - the file with the system's roots, if there is one, is the bundle, and cannot be replaced,
// - /etc/resolv.conf names an address that the agent answers for.
absl::Status PrepareMounts(const std::string& certificates, const std::string& ca_certificate,
                           const std::string& bundle, const std::string& services);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_MOUNTS_H_
