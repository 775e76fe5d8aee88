// The agent's end of AuditStream.Publish. The protocol is described in
// proto/sallyport/v1/audit_stream.proto.

#ifndef SALLYPORT_AGENT_AUDIT_STREAM_AUDIT_PUBLISHER_H_
#define SALLYPORT_AGENT_AUDIT_STREAM_AUDIT_PUBLISHER_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "agent/audit_stream/audit_tap_reader.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// While the control plane wants records, has the proxies write them to a tap and sends on what
// comes out of it. Two threads: one hears what is wanted, one, while something is, reads the tap.
// Neither is waited for by a proxy. Start and Stop are called by one thread, the rest by any.
class AuditPublisher {
 public:
  // Has the proxies write records to a socket, or (invalid) nowhere; returns when they do.
  using SetTap = std::function<void(UniqueFd)>;
  struct Stats {
    bool following = false;
    uint64_t lost = 0;  // Records that were to be followed and were not sent.
  };

  AuditPublisher(std::string host_name, SetTap set_tap);
  ~AuditPublisher();
  AuditPublisher(const AuditPublisher&) = delete;
  AuditPublisher& operator=(const AuditPublisher&) = delete;

  // Publishes over the channel, beside the stream of policy. A stream that breaks alone is opened
  // anew; a control plane that does not know of it is left in peace.
  void Start(std::shared_ptr<grpc::Channel> channel);
  void Stop();
  Stats stats() const { return {following_, lost_}; }

 private:
  class Stream;

  void Run(std::shared_ptr<grpc::Channel> channel);
  grpc::Status RunStream(std::shared_ptr<grpc::Channel> channel);
  // False: to end.
  bool Pause(std::chrono::milliseconds duration);

  const std::string host_name_;
  const SetTap set_tap_;
  std::atomic<bool> following_{false};
  std::atomic<uint64_t> lost_{0};

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::thread thread_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_AUDIT_STREAM_AUDIT_PUBLISHER_H_
