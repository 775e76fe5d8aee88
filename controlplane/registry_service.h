// HandlerRegistry: which handlers there are.

#ifndef SALLYPORT_CONTROLPLANE_REGISTRY_SERVICE_H_
#define SALLYPORT_CONTROLPLANE_REGISTRY_SERVICE_H_

#include "controlplane/control_plane.h"
#include "controlplane/serve_session.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"

namespace sallyport {

// Thread-safe.
class RegistryService final : public v1::HandlerRegistry::CallbackService {
 public:
  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

  explicit RegistryService(const ControlPlane* control_plane) : control_plane_(control_plane) {}

  Reactor* RegisterHandler(Context* context, const v1::RegisterHandlerRequest* request,
                           v1::RegisterHandlerResponse* response) override;
  Reactor* GetHandler(Context* context, const v1::GetHandlerRequest* request,
                      v1::GetHandlerResponse* response) override;
  Reactor* ListHandlers(Context* context, const v1::ListHandlersRequest* request,
                        v1::ListHandlersResponse* response) override;
  Reactor* RemoveHandler(Context* context, const v1::RemoveHandlerRequest* request,
                         v1::MutationResult* response) override;

  grpc::ServerBidiReactor<v1::ServeHandlerRequest, v1::ServeHandlerResponse>* ServeHandler(
      Context* context) override {
    return ServeSession::Start(control_plane_, context);
  }

  Reactor* RevokeLeases(Context* context, const v1::RevokeLeasesRequest* request,
                        v1::RevokeLeasesResponse* response) override;
  Reactor* GetIdentityKeys(Context* context, const v1::GetIdentityKeysRequest* request,
                           v1::GetIdentityKeysResponse* response) override;

 private:
  const ControlPlane* const control_plane_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_REGISTRY_SERVICE_H_
