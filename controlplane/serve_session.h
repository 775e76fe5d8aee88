// The control plane's end of one service's HandlerRegistry.ServeHandler stream.

#ifndef SALLYPORT_CONTROLPLANE_SERVE_SESSION_H_
#define SALLYPORT_CONTROLPLANE_SERVE_SESSION_H_

#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "common/base/mutex.h"
#include "controlplane/control_plane.h"
#include "controlplane/live_endpoints.h"
#include "proto/sallyport/v1/registry.pb.h"

namespace sallyport {

// Thread-safe; owns itself until gRPC is done with it.
class ServeSession final
    : public grpc::ServerBidiReactor<v1::ServeHandlerRequest, v1::ServeHandlerResponse>,
      public LiveStream,
      public std::enable_shared_from_this<ServeSession> {
 public:
  static ServeSession* Start(const ControlPlane* control_plane,
                             grpc::CallbackServerContext* context);
  ServeSession(const ControlPlane* control_plane, grpc::CallbackServerContext* context)
      : control_plane_(control_plane), context_(context), connection_(context->auth_context()) {}

  void Stop(const absl::Status& why) override;
  void Recheck() override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  using Leaving = LiveEndpoints::Leaving;
  enum class Answer { kRegistered, kDrained };

  // Each returns why the stream ends; OK: it goes on.
  absl::Status Take(const v1::ServeHandlerRequest& message);
  absl::Status TakeStart(const v1::ServeHandlerRequest::Start& start);
  absl::Status TakeDrain();
  // What was asked for is in the store, or is not: answers once the hosts concerned enforce it.
  void Stored(const Store::Written& written, Answer answer);
  void Write(v1::ServeHandlerResponse response);
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(const absl::Status& why, Leaving leaving);

  const ControlPlane* const control_plane_;
  grpc::CallbackServerContext* const context_;  // Until OnDone.
  const std::shared_ptr<const grpc::AuthContext> connection_;

  // The reading side's: one read at a time.
  v1::ServeHandlerRequest read_;
  bool draining_ = false;

  Mutex mutex_;
  std::shared_ptr<ServeSession> self_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;  // Finish is on its way: start nothing any more.
  std::optional<LiveEndpoints::Key> key_ ABSL_GUARDED_BY(mutex_);  // Set once.
  v1::ServeHandlerResponse written_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<v1::ServeHandlerResponse> answers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_SERVE_SESSION_H_
