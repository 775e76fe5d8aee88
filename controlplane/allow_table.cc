#include "controlplane/authorizer.h"

namespace sallyport {
namespace {

constexpr Extent kNo = Extent::kNone;
constexpr Extent kOwn = Extent::kOwn;
constexpr Extent kYes = Extent::kAll;

#define POLICY(method) "/sallyport.v1.OutboundPolicy/" method
#define REGISTRY(method) "/sallyport.v1.HandlerRegistry/" method
#define SECRETS(method) "/sallyport.v1.SecretStore/" method

// clang-format off
constexpr AllowRow kTable[] = {
    //                                              viewer  agent  handler
    {POLICY("ApplyClass"),                          kNo,    kNo,   kNo},
    {POLICY("GetClass"),                            kYes,   kNo,   kNo},
    {POLICY("ListClasses"),                         kYes,   kNo,   kNo},
    {POLICY("DeleteClass"),                         kNo,    kNo,   kNo},

    {POLICY("CreateContainer"),                     kNo,    kNo,   kNo},
    {POLICY("GetContainer"),                        kYes,   kNo,   kNo},
    {POLICY("ListContainers"),                      kYes,   kNo,   kNo},
    {POLICY("DeleteContainer"),                     kNo,    kNo,   kNo},

    {POLICY("SetOutboundByHost"),                   kNo,    kNo,   kNo},
    {POLICY("SetOutboundByHosts"),                  kNo,    kNo,   kNo},
    {POLICY("RemoveOutboundByHost"),                kNo,    kNo,   kNo},
    {POLICY("SetOutboundHandler"),                  kNo,    kNo,   kNo},
    {POLICY("ClearOutboundHandler"),                kNo,    kNo,   kNo},

    {POLICY("SetAllowedHosts"),                     kNo,    kNo,   kNo},
    {POLICY("SetDeniedHosts"),                      kNo,    kNo,   kNo},
    {POLICY("ClearAllowedHosts"),                   kNo,    kNo,   kNo},
    {POLICY("ClearDeniedHosts"),                    kNo,    kNo,   kNo},
    {POLICY("AllowHost"),                           kNo,    kNo,   kNo},
    {POLICY("DenyHost"),                            kNo,    kNo,   kNo},
    {POLICY("RemoveAllowedHost"),                   kNo,    kNo,   kNo},
    {POLICY("RemoveDeniedHost"),                    kNo,    kNo,   kNo},

    {POLICY("SetEnableInternet"),                   kNo,    kNo,   kNo},

    {POLICY("InterceptOutboundHttp"),               kNo,    kNo,   kNo},
    {POLICY("InterceptOutboundHttps"),              kNo,    kNo,   kNo},
    {POLICY("InterceptAllOutboundHttp"),            kNo,    kNo,   kNo},
    {POLICY("RemoveInterceptOutboundHttp"),         kNo,    kNo,   kNo},
    {POLICY("RemoveInterceptOutboundHttps"),        kNo,    kNo,   kNo},
    {POLICY("RemoveInterceptAllOutboundHttp"),      kNo,    kNo,   kNo},

    {POLICY("ApplyPolicy"),                         kNo,    kNo,   kNo},
    {POLICY("Explain"),                             kYes,   kNo,   kNo},
    {POLICY("Watch"),                               kYes,   kNo,   kNo},

    // The name is the handler's. Its own registers no built-in one (registry_service.cc).
    {REGISTRY("RegisterHandler"),                   kNo,    kNo,   kOwn},
    {REGISTRY("GetHandler"),                        kYes,   kNo,   kOwn},
    {REGISTRY("ListHandlers"),                      kYes,   kNo,   kNo},
    {REGISTRY("RemoveHandler"),                     kNo,    kNo,   kOwn},
    {REGISTRY("RevokeLeases"),                      kNo,    kNo,   kOwn},
    {REGISTRY("ServeHandler"),                      kNo,    kNo,   kOwn},
    // Public, to all whom we know.
    {REGISTRY("GetIdentityKeys"),                   kYes,   kYes,  kYes},

    {SECRETS("SetSecret"),                          kNo,    kNo,   kNo},
    {SECRETS("ListSecrets"),                        kYes,   kNo,   kNo},
    {SECRETS("DeleteSecret"),                       kNo,    kNo,   kNo},

    // The name is the host's.
    {"/sallyport.v1.PolicySync/Sync",               kNo,    kOwn,  kNo},

    // The name is the host's.
    {"/sallyport.v1.AuditStream/Publish",           kNo,    kOwn,  kNo},
    {"/sallyport.v1.AuditStream/Follow",            kYes,   kNo,   kNo},

    // A backup holds everything, params included.
    {"/sallyport.v1.Maintenance/Backup",            kNo,    kNo,   kNo},
    {"/sallyport.v1.Maintenance/Restore",           kNo,    kNo,   kNo},
};
// clang-format on

#undef POLICY
#undef REGISTRY
#undef SECRETS

}  // namespace

absl::Span<const AllowRow> AllowTable() { return kTable; }

Extent Permitted(pki::Role role, std::string_view method) {
  for (const AllowRow& row : kTable) {
    if (row.method != method) continue;
    switch (role) {
      case pki::Role::kServer:
        return Extent::kNone;
      case pki::Role::kAdmin:
        return Extent::kAll;
      case pki::Role::kAgent:
        return row.agent;
      case pki::Role::kHandler:
        return row.handler;
      case pki::Role::kViewer:
        return row.viewer;
    }
  }
  return Extent::kNone;
}

}  // namespace sallyport
