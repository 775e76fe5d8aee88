// The control plane's end of one agent's AuditStream.Publish.

#ifndef SALLYPORT_CONTROLPLANE_PUBLISH_SESSION_H_
#define SALLYPORT_CONTROLPLANE_PUBLISH_SESSION_H_

#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "controlplane/audit_streams.h"
#include "controlplane/control_plane.h"
#include "proto/sallyport/v1/audit_stream.pb.h"

namespace sallyport {

// Thread-safe; owns itself until gRPC is done with it.
class PublishSession final
    : public grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>,
      public SyncStream,
      public std::enable_shared_from_this<PublishSession> {
 public:
  // `connection`: of the call, by which the agent is known.
  static PublishSession* Start(const ControlPlane* control_plane, AuditStreams* streams,
                               std::shared_ptr<const grpc::AuthContext> connection);
  PublishSession(const ControlPlane* control_plane, AuditStreams* streams,
                 std::shared_ptr<const grpc::AuthContext> connection)
      : control_plane_(control_plane), streams_(streams), connection_(std::move(connection)) {}

  // What is wanted has changed.
  void Poke() override;
  void Replace() override;
  void Stop(const std::string& why) override;
  void Recheck() override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  using Clock = std::chrono::steady_clock;

  absl::Status Take(v1::PublishRequest* request);
  absl::Status Greet(const std::string& host);
  // Of the host that the stream is of. The last records of a container may come after it was
  // detached.
  bool MaySpeakFor(const std::string& host, const std::string& container_id);
  void ForgetDetached();
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(const grpc::Status& status);

  const ControlPlane* const control_plane_;
  AuditStreams* const streams_;
  const std::shared_ptr<const grpc::AuthContext> connection_;

  // Of the thread that reads: reads come one at a time.
  v1::PublishRequest read_;
  std::map<std::string, Clock::time_point> seen_attached_;

  Mutex mutex_;
  std::shared_ptr<PublishSession> self_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;  // Finish was called: start nothing any more.
  bool done_ ABSL_GUARDED_BY(mutex_) = false;   // gRPC is done with us.
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  v1::PublishResponse written_ ABSL_GUARDED_BY(mutex_);
  uint64_t said_ ABSL_GUARDED_BY(mutex_) = 0;  // The last number.
  // Empty: it has not greeted yet. Never changes once it is set.
  std::string host_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_PUBLISH_SESSION_H_
