// The control plane's end of one agent's PolicySync stream. It remembers what it sent, and on every
// wake sends the difference to the newest state, one delta at a time: a slow agent costs constant
// memory and skips versions by itself.

#ifndef SALLYPORT_CONTROLPLANE_SYNC_SESSION_H_
#define SALLYPORT_CONTROLPLANE_SYNC_SESSION_H_

#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "common/base/mutex.h"
#include "controlplane/attachments.h"
#include "controlplane/concern.h"
#include "controlplane/control_plane.h"
#include "controlplane/sync_hub.h"
#include "proto/sallyport/v1/sync.pb.h"

namespace sallyport {

// Thread-safe; owns itself until gRPC is done with it. The hello is in the store before anything
// else is read. Messages after it take effect in order, and some are read ahead, so that what comes
// at once is committed at once; an ack tells of what was sent before, and need not wait for them.
class SyncSession final : public grpc::ServerBidiReactor<v1::SyncRequest, v1::SyncResponse>,
                          public SyncStream,
                          public std::enable_shared_from_this<SyncSession> {
 public:
  // `connection`: of the call, by which the agent is known.
  static SyncSession* Start(const ControlPlane* control_plane,
                            std::shared_ptr<const grpc::AuthContext> connection);
  SyncSession(const ControlPlane* control_plane,
              std::shared_ptr<const grpc::AuthContext> connection)
      : control_plane_(control_plane), connection_(std::move(connection)) {}

  void Poke() override;
  void Replace() override;
  void Stop(const std::string& why) override;
  void Recheck() override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // What was sent and not acked yet.
  struct Unacked {
    uint64_t revision = 0;
    std::set<ResourceId> resources;
    bool complete = true;  // False: a part of what differs; the rest follows.
  };

  // What one message of the agent does to the store.
  struct Effect {
    std::string host;
    std::deque<v1::AttachResult> answers;  // One for each container that came.
    std::set<std::string> left;            // Hosts that containers may have left.
  };

  // These run on the writer's thread: into the store, and after the commit.
  absl::Status Greet(const v1::Hello& hello, Effect* effect, Transaction* transaction);
  absl::Status CheckHost(const std::string& host);
  absl::Status Change(const v1::SyncRequest& request, Effect* effect, Transaction* transaction);
  void AttachTo(const std::string& host, const v1::Attached& attached, Arrival arrival,
                Effect* effect, Transaction* transaction);
  void Greeted(const v1::Hello& hello, Effect effect, const Store::Written& written);
  void Changed(Effect effect, const Store::Written& written);
  // Completes the answers, and tells those who wait for hosts that containers have left.
  void Announce(const State& state, Effect* effect);

  void Accept(const v1::Ack& ack) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetRejectionsOf(const std::set<ResourceId>& resources)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Seeds what the agent has from its cache.
  void Seed(const v1::Hello& hello, const State& state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The store has the effect of what was read last: answer, send, and read the next.
  void GoOn(std::deque<v1::AttachResult> answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void ReadNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes what there is to write, if nothing is under way.
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendDelta() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The delta's secrets, for the agent.
  void Unseal(v1::Delta* delta) const;
  void Write(v1::SyncResponse response) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Report(uint64_t revision) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(const grpc::Status& status);
  void EndLocked(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ControlPlane* const control_plane_;
  const std::shared_ptr<const grpc::AuthContext> connection_;
  Takeover takeover_ = Takeover::kRefused;  // The writer's thread's.

  Mutex mutex_;
  std::shared_ptr<SyncSession> self_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;  // Finish was called: start nothing any more.
  bool done_ ABSL_GUARDED_BY(mutex_) = false;   // gRPC is done with us.

  // Reading. One read is under way, or reading waits: for the hello or enough of the changes to be
  // stored, or until answers are written.
  v1::SyncRequest read_ ABSL_GUARDED_BY(mutex_);
  size_t unstored_ ABSL_GUARDED_BY(mutex_) = 0;
  bool read_waits_ ABSL_GUARDED_BY(mutex_) = false;

  // Writing.
  v1::SyncResponse written_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<v1::AttachResult> answers_ ABSL_GUARDED_BY(mutex_);

  // What holds between the two sides. The host name never changes once it is set.
  std::string host_ ABSL_GUARDED_BY(mutex_);
  uint64_t stream_ ABSL_GUARDED_BY(mutex_) = 0;  // For Waiters; 0 until greeted.
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;   // Of all that was sent.
  ResourceRevisions sent_ ABSL_GUARDED_BY(mutex_);
  std::map<ResourceId, std::string> rejections_ ABSL_GUARDED_BY(mutex_);
  std::optional<Unacked> unacked_ ABSL_GUARDED_BY(mutex_);
  // A delta is owed even if it is empty: the first one, and one that leads to the revision of an
  // AttachResult.
  bool owed_ ABSL_GUARDED_BY(mutex_) = true;
  bool reset_ ABSL_GUARDED_BY(mutex_) = false;
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;  // The store may differ from `sent_`.
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_SYNC_SESSION_H_
