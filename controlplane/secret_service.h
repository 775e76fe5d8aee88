// SecretStore: secrets for built-in handlers. None comes back by any of its calls.

#ifndef SALLYPORT_CONTROLPLANE_SECRET_SERVICE_H_
#define SALLYPORT_CONTROLPLANE_SECRET_SERVICE_H_

#include "controlplane/control_plane.h"
#include "proto/sallyport/v1/secret.grpc.pb.h"

namespace sallyport {

// Thread-safe.
class SecretService final : public v1::SecretStore::CallbackService {
 public:
  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

  explicit SecretService(const ControlPlane* control_plane) : control_plane_(control_plane) {}

  Reactor* SetSecret(Context* context, const v1::SetSecretRequest* request,
                     v1::MutationResult* response) override;
  Reactor* ListSecrets(Context* context, const v1::ListSecretsRequest* request,
                       v1::ListSecretsResponse* response) override;
  Reactor* DeleteSecret(Context* context, const v1::DeleteSecretRequest* request,
                        v1::MutationResult* response) override;

 private:
  const ControlPlane* const control_plane_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_SECRET_SERVICE_H_
