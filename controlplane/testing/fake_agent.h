// An agent that enforces nothing, on a real PolicySync stream: it remembers what it was sent, and
// acks as the test tells it.

#ifndef SALLYPORT_CONTROLPLANE_TESTING_FAKE_AGENT_H_
#define SALLYPORT_CONTROLPLANE_TESTING_FAKE_AGENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "controlplane/concern.h"
#include "proto/sallyport/v1/sync.grpc.pb.h"

namespace sallyport {

// Methods are for one thread, the test's. Waits give up after ten seconds: Next… then return
// nullopt.
class FakeAgent {
 public:
  enum class Acks {
    kAtOnce,  // Each delta, except of what Reject names.
    kByHand,  // The test calls Ack.
  };

  FakeAgent(const std::shared_ptr<grpc::Channel>& channel, const v1::Hello& hello, Acks acks);
  ~FakeAgent();

  // Of an agent that knows nothing. `containers`: id, class.
  static v1::Hello Hello(const std::string& host,
                         const std::vector<std::pair<std::string, std::string>>& containers = {});
  // Of this agent, as it would come back after a break, with what it has.
  v1::Hello HelloAgain();

  // From now on this resource is refused in acks at once.
  void Reject(const ResourceId& resource, const std::string& reason);
  void Ack(uint64_t revision, const std::vector<v1::Ack::Rejected>& rejected = {});
  void Attach(const std::string& id, const std::string& class_name);
  void Detach(const std::string& id, bool forget);
  void Announce(const v1::IdentityKeys& keys);

  // In order of arrival.
  std::optional<v1::Delta> NextDelta();
  std::optional<v1::AttachResult> NextAttachResult();
  // Until it has this version of the resource; 0: until it does not have it.
  bool WaitToHave(const ResourceId& resource, uint64_t revision);
  ResourceRevisions has();

  // Goes away without a word.
  void Disconnect();
  // How the stream ended. Waits for it.
  grpc::Status WaitForEnd();

 private:
  void Read();
  void Apply(const v1::Delta& delta) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Send(const v1::SyncRequest& request);

  const Acks acks_;
  v1::Hello hello_;
  const std::unique_ptr<v1::PolicySync::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SyncRequest, v1::SyncResponse>> stream_;
  Mutex write_mutex_;

  Mutex mutex_;
  CondVar arrived_;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  ResourceRevisions has_ ABSL_GUARDED_BY(mutex_);
  std::map<ResourceId, std::string> reject_ ABSL_GUARDED_BY(mutex_);
  std::deque<v1::Delta> deltas_ ABSL_GUARDED_BY(mutex_);
  std::deque<v1::AttachResult> results_ ABSL_GUARDED_BY(mutex_);
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mutex_);
  std::thread reader_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_TESTING_FAKE_AGENT_H_
