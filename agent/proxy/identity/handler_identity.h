// By which handlers know this host and its containers.

#ifndef SALLYPORT_AGENT_PROXY_IDENTITY_HANDLER_IDENTITY_H_
#define SALLYPORT_AGENT_PROXY_IDENTITY_HANDLER_IDENTITY_H_

#include <memory>

#include "absl/status/status.h"
#include "agent/proxy/control.pb.h"
#include "agent/proxy/identity/token_signer.h"
#include "agent/proxy/tls/client_certificate.h"

namespace sallyport::proxy {

// Immutable, shared by the workers.
struct HandlerIdentity {
  std::shared_ptr<const ClientCertificate> certificate;  // Null: this host has none.
  std::shared_ptr<const TokenSigner> signer;             // The same.

  // Overwrites the keys in the command. What is as in `before` is the same object, so that
  // connections that show the certificate are kept. What cannot be used is null, and `problem` says
  // why (INVALID_ARGUMENT).
  static std::shared_ptr<const HandlerIdentity> Take(internal::Identity* identity,
                                                     const HandlerIdentity& before,
                                                     absl::Status* problem);
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_IDENTITY_HANDLER_IDENTITY_H_
