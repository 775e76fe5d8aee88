// AuditStream: audit records from agents to those who follow them.

#ifndef SALLYPORT_CONTROLPLANE_AUDIT_SERVICE_H_
#define SALLYPORT_CONTROLPLANE_AUDIT_SERVICE_H_

#include "controlplane/audit_streams.h"
#include "controlplane/control_plane.h"
#include "controlplane/follow_session.h"
#include "controlplane/publish_session.h"
#include "proto/sallyport/v1/audit_stream.grpc.pb.h"

namespace sallyport {

// Thread-safe.
class AuditService final : public v1::AuditStream::CallbackService {
 public:
  AuditService(const ControlPlane* control_plane, AuditStreams* streams)
      : control_plane_(control_plane), streams_(streams) {}

  grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>* Publish(
      grpc::CallbackServerContext* context) override {
    return PublishSession::Start(control_plane_, streams_, context->auth_context());
  }
  grpc::ServerWriteReactor<v1::FollowResponse>* Follow(grpc::CallbackServerContext* context,
                                                       const v1::FollowRequest* request) override {
    return FollowSession::Start(control_plane_, streams_, context->auth_context(),
                                request->filter());
  }

 private:
  const ControlPlane* const control_plane_;
  AuditStreams* const streams_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_AUDIT_SERVICE_H_
