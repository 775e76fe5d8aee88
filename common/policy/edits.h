// What the calls of the service OutboundPolicy do to a container's rules, as functions from values
// to values. Each checks everything before it changes anything: with an error, `policy` is as it
// was. INVALID_ARGUMENT has a line for each wrong field of the request (problems.h); NOT_FOUND is a
// handler that is not registered, or that the class does not let its containers use. Asking for
// what holds already, or taking away what is not there, is OK and changes nothing.

#ifndef SALLYPORT_COMMON_POLICY_EDITS_H_
#define SALLYPORT_COMMON_POLICY_EDITS_H_

#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "proto/sallyport/v1/admin.pb.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// What an edit is checked against.
struct PolicyContext {
  // The container's class, normalised.
  const v1::ContainerClass& container_class;
  // Names of the registered handlers.
  const absl::flat_hash_set<std::string>& handlers;
};

// NOT_FOUND unless a rule of the container may name the handler.
absl::Status CheckMayUse(const PolicyContext& context, const std::string& handler);

// In all of them, REQUIRES: `policy` is normalised and of the class of the context. `container_id`
// and `options` of the request are not looked at.

absl::Status ApplySetOutboundByHost(const PolicyContext& context,
                                    const v1::SetOutboundByHostRequest& request,
                                    v1::ContainerPolicy* policy);
absl::Status ApplySetOutboundByHosts(const PolicyContext& context,
                                     const v1::SetOutboundByHostsRequest& request,
                                     v1::ContainerPolicy* policy);
absl::Status ApplyRemoveOutboundByHost(const PolicyContext& context,
                                       const v1::RemoveOutboundByHostRequest& request,
                                       v1::ContainerPolicy* policy);
absl::Status ApplySetOutboundHandler(const PolicyContext& context,
                                     const v1::SetOutboundHandlerRequest& request,
                                     v1::ContainerPolicy* policy);
absl::Status ApplyClearOutboundHandler(const PolicyContext& context,
                                       const v1::ContainerRequest& request,
                                       v1::ContainerPolicy* policy);

absl::Status ApplySetAllowedHosts(const PolicyContext& context, const v1::HostsRequest& request,
                                  v1::ContainerPolicy* policy);
absl::Status ApplySetDeniedHosts(const PolicyContext& context, const v1::HostsRequest& request,
                                 v1::ContainerPolicy* policy);
absl::Status ApplyClearAllowedHosts(const PolicyContext& context,
                                    const v1::ContainerRequest& request,
                                    v1::ContainerPolicy* policy);
absl::Status ApplyClearDeniedHosts(const PolicyContext& context,
                                   const v1::ContainerRequest& request,
                                   v1::ContainerPolicy* policy);
absl::Status ApplyAllowHost(const PolicyContext& context, const v1::HostRequest& request,
                            v1::ContainerPolicy* policy);
absl::Status ApplyDenyHost(const PolicyContext& context, const v1::HostRequest& request,
                           v1::ContainerPolicy* policy);
absl::Status ApplyRemoveAllowedHost(const PolicyContext& context, const v1::HostRequest& request,
                                    v1::ContainerPolicy* policy);
absl::Status ApplyRemoveDeniedHost(const PolicyContext& context, const v1::HostRequest& request,
                                   v1::ContainerPolicy* policy);

absl::Status ApplySetEnableInternet(const PolicyContext& context,
                                    const v1::SetEnableInternetRequest& request,
                                    v1::ContainerPolicy* policy);

absl::Status ApplyInterceptOutboundHttp(const PolicyContext& context,
                                        const v1::InterceptRequest& request,
                                        v1::ContainerPolicy* policy);
absl::Status ApplyInterceptOutboundHttps(const PolicyContext& context,
                                         const v1::InterceptRequest& request,
                                         v1::ContainerPolicy* policy);
absl::Status ApplyInterceptAllOutboundHttp(const PolicyContext& context,
                                           const v1::InterceptRequest& request,
                                           v1::ContainerPolicy* policy);
absl::Status ApplyRemoveInterceptOutboundHttp(const PolicyContext& context,
                                              const v1::HostRequest& request,
                                              v1::ContainerPolicy* policy);
absl::Status ApplyRemoveInterceptOutboundHttps(const PolicyContext& context,
                                               const v1::HostRequest& request,
                                               v1::ContainerPolicy* policy);
absl::Status ApplyRemoveInterceptAllOutboundHttp(const PolicyContext& context,
                                                 const v1::ContainerRequest& request,
                                                 v1::ContainerPolicy* policy);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_EDITS_H_
