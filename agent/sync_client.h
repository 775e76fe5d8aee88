// The agent's end of PolicySync: tells the control plane which containers are here, and has what it
// answers enforced. The protocol is described in proto/sallyport/v1/sync.proto.

#ifndef SALLYPORT_AGENT_SYNC_CLIENT_H_
#define SALLYPORT_AGENT_SYNC_CLIENT_H_

#include <grpcpp/client_context.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/audit_stream/audit_publisher.h"
#include "agent/identity/token_keys.h"
#include "agent/policy_cache.h"
#include "agent/proxy_supervisor.h"
#include "common/base/mutex.h"
#include "proto/sallyport/v1/sync.grpc.pb.h"

namespace sallyport::agent {

// What came of a container's policy.
struct Enforcement {
  enum class Kind {
    kEnforced,  // In force; `reason` may say that it is the last one known.
    kPending,   // Not yet; `reason` says why.
    kRefused,   // The control plane does not accept the container; `reason` is its sentence.
    kGone,      // The container was detached meanwhile.
  };
  Kind kind = Kind::kPending;
  uint64_t revision = 0;
  std::string reason;
};

// A stream that breaks is opened anew, after pauses that grow and are never the same. Thread-safe.
class SyncClient {
 public:
  struct Options {
    std::string target;   // As gRPC takes it.
    std::string tls_dir;  // For targets other than unix sockets; empty: no TLS.
    std::string host_name;
    std::string version;
    // Announced to the control plane; null: there are none. Outlives the client.
    const TokenKeys* token_keys = nullptr;
    // Publishes over the same connection; null: nobody does. Outlives the client.
    AuditPublisher* audit = nullptr;
    // Containers that are here already.
    std::vector<v1::Attached> attached = {};
    // An announcement counts as heard when the stream that it went out on has lived for so long
    // after it: whether the other end is there is asked more often.
    std::chrono::milliseconds heard_after{30'000};
    std::chrono::milliseconds first_pause{100};
    std::chrono::milliseconds longest_pause{5'000};
  };
  struct State {
    bool connected = false;
    std::string error;                           // Why not.
    std::chrono::system_clock::time_point lost;  // Since when not.
  };

  // `supervisor` and `cache` outlive this.
  SyncClient(Options options, ProxySupervisor* supervisor, PolicyCache* cache);
  ~SyncClient();

  // `ephemeral`: the control plane is to delete the container's record when it is gone, also if
  // nobody is left here to say so.
  void Attached(const std::string& container_id, const std::string& class_name,
                bool ephemeral = false);
  // `forget`: the control plane is to delete the container's record.
  void Detached(const std::string& container_id, bool forget);
  // What the keys are now, unless the next Hello says so.
  void AnnounceIdentityKeys();
  // The number of the newest announcement that the control plane has; 0: of none is it known.
  uint64_t told_identity_keys() const;
  // Waits until it is known what comes of the policy of an attached container, or `deadline`.
  Enforcement WaitEnforced(const std::string& container_id,
                           std::chrono::steady_clock::time_point deadline);
  State state() const;

  // From here on nobody waits: WaitEnforced answers at once.
  void AbandonWaits();
  // Sends what there is to send, half a second at most, and hangs up.
  void Stop();

 private:
  using Clock = std::chrono::steady_clock;
  using Stream = grpc::ClientReaderWriter<v1::SyncRequest, v1::SyncResponse>;

  struct Container {
    std::string class_name;
    bool ephemeral = false;
    // Of this stream; absent: not answered yet.
    std::optional<v1::AttachResult> result;
    Clock::time_point answered;
  };

  // A call of WaitEnforced: each has a bell of its own, so that many at once do not wake each
  // other.
  struct Waiter {
    std::string container_id;
    CondVar bell;
  };

  static v1::SyncRequest AttachedMessage(const std::string& id, const Container& container);
  static std::map<std::string, Container> Unanswered(const std::vector<v1::Attached>& containers);

  void Run();
  // Opens a stream and serves it until it ends.
  grpc::Status RunStream();
  // The first message, and what must follow it. From here on changes go to the outbox.
  v1::Hello Greeting() ABSL_LOCKS_EXCLUDED(mutex_);
  void Greet(const std::string& id, const Container& container, v1::Hello* hello)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteOutbox(Stream* stream);
  void Receive(const v1::SyncResponse& response);
  // False: the delta could not be enforced, and is to be asked for again.
  bool Apply(const v1::Delta& delta);
  void NoteReset(const v1::Delta& delta) const;
  void NoteEnforced(const v1::Delta& delta, const std::vector<v1::Ack::Rejected>& rejected)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Send(v1::SyncRequest request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Enforcement AwaitKnown(Waiter& waiter, Clock::time_point deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What is known of a container's policy; `until`: when more may be known without a message.
  std::optional<Enforcement> Known(const std::string& id, const Container& container,
                                   Clock::time_point* until) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Rejected(const std::string& id, const Container& container, std::string* reason) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // To look again: those that wait for this container, or all.
  void Wake(const std::string& container_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // How long the stream was up; zero: it never was.
  std::chrono::milliseconds NoteEnd(const grpc::Status& status);
  // False: stopped.
  bool Pause(std::chrono::milliseconds duration);

  const Options options_;
  ProxySupervisor* const supervisor_;
  PolicyCache* const cache_;

  mutable Mutex mutex_;
  CondVar outbox_changed_;  // Or the stream is over, or is to be.
  CondVar stop_changed_;
  std::list<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool abandon_waits_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;  // Run has returned.
  State state_ ABSL_GUARDED_BY(mutex_);
  Clock::time_point connected_at_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Container> attached_ ABSL_GUARDED_BY(mutex_);
  // Detached, to be forgotten, and not told yet.
  std::set<std::string> to_forget_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<v1::ResourceKind, std::string>, std::string> rejections_
      ABSL_GUARDED_BY(mutex_);

  // Of the stream that is open.
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool greeted_ ABSL_GUARDED_BY(mutex_) = false;
  bool stream_ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<v1::SyncRequest> outbox_ ABSL_GUARDED_BY(mutex_);
  // How many answers are still to come for a container id: only the last one counts.
  std::map<std::string, int> unanswered_ ABSL_GUARDED_BY(mutex_);
  uint64_t enforced_ ABSL_GUARDED_BY(mutex_) = 0;
  // Announcements of identity keys: the one of the Hello, and the one that followed last.
  uint64_t greeted_keys_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t sent_keys_ ABSL_GUARDED_BY(mutex_) = 0;
  Clock::time_point keys_sent_at_ ABSL_GUARDED_BY(mutex_) = Clock::time_point::max();

  uint64_t told_keys_ ABSL_GUARDED_BY(mutex_) = 0;  // Of former streams.

  std::thread thread_;  // Last: it uses the rest.
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_SYNC_CLIENT_H_
