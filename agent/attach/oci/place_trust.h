// Puts a container's CA where its programs look for it.

#ifndef SALLYPORT_AGENT_ATTACH_OCI_PLACE_TRUST_H_
#define SALLYPORT_AGENT_ATTACH_OCI_PLACE_TRUST_H_

#include <string_view>

#include "absl/status/status.h"
#include "agent/attach/oci/container_root.h"

namespace sallyport::agent {

// Afterwards, all read-only and in memory,
// - kTrustDirectory (trust.h) holds the CA, and the bundle: the image's own roots and the CA,
// - each file of kSystemBundlePlaces that the image has is its own roots and the CA.
// The error says what is in the way, and where. Nothing is undone then: the container must not
// start.
absl::Status PlaceTrust(const ContainerRoot& root, std::string_view ca_certificate_pem);

// Makes /etc/resolv.conf if there is none; podman makes none for a container without a network. One
// that names any server is as good, and resolvers without a file ask 127.0.0.1, which is answered
// as well (over UDP): so nothing is wrong if it cannot be made.
void PlaceResolvConf(const ContainerRoot& root);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_OCI_PLACE_TRUST_H_
