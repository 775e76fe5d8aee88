// One follower's stream of audit records.

#ifndef SALLYPORT_CONTROLPLANE_FOLLOW_SESSION_H_
#define SALLYPORT_CONTROLPLANE_FOLLOW_SESSION_H_

#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "controlplane/audit_queue.h"
#include "controlplane/audit_streams.h"
#include "controlplane/control_plane.h"
#include "proto/sallyport/v1/audit_stream.pb.h"

namespace sallyport {

// Writes one record at a time; what comes while a write waits for a slow reader is queued, and
// dropped when the queue is full. Thread-safe; owns itself until gRPC is done with it.
class FollowSession final : public grpc::ServerWriteReactor<v1::FollowResponse>,
                            public AuditFollower,
                            public std::enable_shared_from_this<FollowSession> {
 public:
  // `connection`: of the call, by which the caller is known.
  static FollowSession* Start(const ControlPlane* control_plane, AuditStreams* streams,
                              std::shared_ptr<const grpc::AuthContext> connection,
                              const v1::AuditFilter& filter);
  FollowSession(const ControlPlane* control_plane, AuditStreams* streams,
                std::shared_ptr<const grpc::AuthContext> connection, v1::AuditFilter filter);

  const v1::AuditFilter& filter() const override { return filter_; }
  uint64_t Offer(AuditQueue::Item item, size_t bytes) override;
  void Poke() override;
  void Stop() override;
  void Recheck() override;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  absl::Status Begin();
  // A container that is followed may not be of that host.
  bool Concerns(const v1::FollowResponse& item) const;
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What to write next; null: nothing.
  AuditQueue::Item Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Null: not yet.
  AuditQueue::Item Ready() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Those that are connected, and may have what is followed.
  std::set<std::string> Hosts() const;
  void End(const grpc::Status& status);

  const ControlPlane* const control_plane_;
  AuditStreams* const streams_;
  const std::shared_ptr<const grpc::AuthContext> connection_;
  const v1::AuditFilter filter_;

  Mutex mutex_;
  std::shared_ptr<FollowSession> self_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;   // Finish was called: start nothing any more.
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;   // Was said.
  uint64_t wanted_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: agents do not know of it yet.
  AuditQueue queue_ ABSL_GUARDED_BY(mutex_);
  AuditQueue::Item writing_ ABSL_GUARDED_BY(mutex_);  // Null: nothing.
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_FOLLOW_SESSION_H_
