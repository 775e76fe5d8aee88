// The gate in front of every call over TLS: credentials for gRPC's server that verify the peer, and
// ask the authorizer about each call before any service sees it. A method cannot be forgotten here;
// one that the table does not know is denied.

#ifndef SALLYPORT_CONTROLPLANE_CALL_GATE_H_
#define SALLYPORT_CONTROLPLANE_CALL_GATE_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "common/pki/tls_files.h"
#include "controlplane/authorizer.h"

namespace sallyport {

// Mutual TLS 1.2 or newer: a client certificate that ca.crt has signed is required. A connection is
// made with the files of that moment. What this returns must be kept until the server is gone, and
// its arguments longer.
std::shared_ptr<grpc::ServerCredentials> MakeGatedTlsCredentials(pki::TlsFiles* files,
                                                                 const Authorizer* authorizer);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_CALL_GATE_H_
