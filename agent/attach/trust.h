// How programs inside a container come to trust its CA.

#ifndef SALLYPORT_AGENT_ATTACH_TRUST_H_
#define SALLYPORT_AGENT_ATTACH_TRUST_H_

#include <array>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sallyport::agent {

// Inside the container.
inline constexpr char kTrustDirectory[] = "/etc/sallyport/certs";
inline constexpr char kCaFileName[] = "sallyport-ca.crt";
inline constexpr char kBundleFileName[] = "bundle.crt";

// Environment variables by which common clients find their roots; each is to name the bundle. Most
// replace the system's roots by it; those of Node and Deno add to theirs.
inline constexpr std::array<std::string_view, 8> kTrustVariables = {
    "SSL_CERT_FILE",       "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS", "DENO_CERT",      "AWS_CA_BUNDLE",      "PIP_CERT",
};

// Where distributions keep their roots in one file: Debian, Alpine and Arch; Fedora and RHEL;
// openSUSE; OpenWrt and BSD-like layouts.
inline constexpr std::array<std::string_view, 5> kSystemBundlePlaces = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};
// Ten times the largest that distributions have; more is not a bundle.
inline constexpr size_t kMaxBundleBytes = 4 << 20;

// The first of these places that is there, below `root` ("" for this system's own). NOT_FOUND if
// there is none.
absl::StatusOr<std::string> FindSystemBundle(const std::string& root);

// What bundle.crt holds: the roots of the file `system_bundle`, then the CA. With an empty path:
// the CA alone.
absl::StatusOr<std::string> MakeTrustBundle(std::string_view ca_certificate_pem,
                                            const std::string& system_bundle);
// The same, of roots that are read already.
std::string MakeTrustBundleOf(std::string roots, std::string_view ca_certificate_pem);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_TRUST_H_
