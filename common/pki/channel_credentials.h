// The client's end of mutual TLS.

#ifndef SALLYPORT_COMMON_PKI_CHANNEL_CREDENTIALS_H_
#define SALLYPORT_COMMON_PKI_CHANNEL_CREDENTIALS_H_

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/pki/tls_files.h"

namespace sallyport::pki {

// Shows our certificate, and takes a peer only if it is of role server, covers the host that is
// dialled, is signed by ca.crt, in time, and not revoked. The files are those of this moment: a
// program that dials again makes credentials anew.
std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(
    std::shared_ptr<const TlsMaterial> material);

// For an address as gRPC takes it: none for unix sockets, and none without a directory; else those
// of the files in `tls_dir`, read now.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsFor(
    const std::string& address, const std::string& tls_dir);

// What gRPC says of a connection that TLS ended, as a sentence with its cause; other messages as
// they are.
std::string ExplainConnectFailure(const std::string& message);

}  // namespace sallyport::pki

#endif  // SALLYPORT_COMMON_PKI_CHANNEL_CREDENTIALS_H_
