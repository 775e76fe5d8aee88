// OutboundPolicy: the calls that change and read policy. Each method is thin: request → checked
// value → one transaction → wait → answer. What an edit does to a container's rules is in
// common/policy/edits.h.

#ifndef SALLYPORT_CONTROLPLANE_POLICY_SERVICE_H_
#define SALLYPORT_CONTROLPLANE_POLICY_SERVICE_H_

#include "controlplane/control_plane.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"

namespace sallyport {

// Thread-safe. Methods are those of proto/sallyport/v1/admin.proto. Classes and containers are in
// policy_service.cc, edits of a container in policy_edits.cc.
class PolicyService final : public v1::OutboundPolicy::CallbackService {
 public:
  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

  explicit PolicyService(const ControlPlane* control_plane) : control_plane_(control_plane) {}

  Reactor* ApplyClass(Context*, const v1::ApplyClassRequest*, v1::ApplyClassResponse*) override;
  Reactor* GetClass(Context*, const v1::GetClassRequest*, v1::GetClassResponse*) override;
  Reactor* ListClasses(Context*, const v1::ListClassesRequest*, v1::ListClassesResponse*) override;
  Reactor* DeleteClass(Context*, const v1::DeleteClassRequest*, v1::DeleteClassResponse*) override;

  Reactor* CreateContainer(Context*, const v1::CreateContainerRequest*,
                           v1::CreateContainerResponse*) override;
  Reactor* GetContainer(Context*, const v1::GetContainerRequest*,
                        v1::GetContainerResponse*) override;
  Reactor* ListContainers(Context*, const v1::ListContainersRequest*,
                          v1::ListContainersResponse*) override;
  Reactor* DeleteContainer(Context*, const v1::DeleteContainerRequest*,
                           v1::DeleteContainerResponse*) override;

  Reactor* SetOutboundByHost(Context*, const v1::SetOutboundByHostRequest*,
                             v1::MutationResult*) override;
  Reactor* SetOutboundByHosts(Context*, const v1::SetOutboundByHostsRequest*,
                              v1::MutationResult*) override;
  Reactor* RemoveOutboundByHost(Context*, const v1::RemoveOutboundByHostRequest*,
                                v1::MutationResult*) override;
  Reactor* SetOutboundHandler(Context*, const v1::SetOutboundHandlerRequest*,
                              v1::MutationResult*) override;
  Reactor* ClearOutboundHandler(Context*, const v1::ContainerRequest*,
                                v1::MutationResult*) override;

  Reactor* SetAllowedHosts(Context*, const v1::HostsRequest*, v1::MutationResult*) override;
  Reactor* SetDeniedHosts(Context*, const v1::HostsRequest*, v1::MutationResult*) override;
  Reactor* ClearAllowedHosts(Context*, const v1::ContainerRequest*, v1::MutationResult*) override;
  Reactor* ClearDeniedHosts(Context*, const v1::ContainerRequest*, v1::MutationResult*) override;
  Reactor* AllowHost(Context*, const v1::HostRequest*, v1::MutationResult*) override;
  Reactor* DenyHost(Context*, const v1::HostRequest*, v1::MutationResult*) override;
  Reactor* RemoveAllowedHost(Context*, const v1::HostRequest*, v1::MutationResult*) override;
  Reactor* RemoveDeniedHost(Context*, const v1::HostRequest*, v1::MutationResult*) override;

  Reactor* SetEnableInternet(Context*, const v1::SetEnableInternetRequest*,
                             v1::MutationResult*) override;

  Reactor* InterceptOutboundHttp(Context*, const v1::InterceptRequest*,
                                 v1::MutationResult*) override;
  Reactor* InterceptOutboundHttps(Context*, const v1::InterceptRequest*,
                                  v1::MutationResult*) override;
  Reactor* InterceptAllOutboundHttp(Context*, const v1::InterceptRequest*,
                                    v1::MutationResult*) override;
  Reactor* RemoveInterceptOutboundHttp(Context*, const v1::HostRequest*,
                                       v1::MutationResult*) override;
  Reactor* RemoveInterceptOutboundHttps(Context*, const v1::HostRequest*,
                                        v1::MutationResult*) override;
  Reactor* RemoveInterceptAllOutboundHttp(Context*, const v1::ContainerRequest*,
                                          v1::MutationResult*) override;

  Reactor* ApplyPolicy(Context*, const v1::ApplyPolicyRequest*, v1::ApplyPolicyResponse*) override;

  grpc::ServerWriteReactor<v1::WatchResponse>* Watch(Context*, const v1::WatchRequest*) override;
  // In explain.cc.
  Reactor* Explain(Context*, const v1::ExplainRequest*, v1::ExplainResponse*) override;

 private:
  const ControlPlane* const control_plane_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_POLICY_SERVICE_H_
