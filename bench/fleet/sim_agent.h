// An agent that enforces by doing nothing: the real protocol, connection, pauses and memory of what
// it has; no proxy, no disk. It measures how long what it receives was under way.

#ifndef SALLYPORT_BENCH_FLEET_SIM_AGENT_H_
#define SALLYPORT_BENCH_FLEET_SIM_AGENT_H_

#include <grpcpp/alarm.h>
#include <grpcpp/channel.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "agent/back_off.h"
#include "bench/fleet/latencies.h"
#include "common/base/mutex.h"
#include "proto/sallyport/v1/sync.grpc.pb.h"

namespace sallyport::bench {

// What all agents of a fleet share. Thread-safe.
struct FleetNotes {
  std::string target;
  std::atomic<int> steady = 0;     // Agents whose stream has brought its first delta.
  std::atomic<bool> stop = false;  // Nobody connects any more.
  Latencies classes;               // For each container: from the change of its class.
  Latencies containers;            // From the change of the container.
};

// Connects when it is made, and again whenever its stream ends. Thread-safe. Must outlive its
// stream: set `stop`, call Hang up, and wait for Idle.
class SimAgent {
 public:
  // Containers `HOST-c0`, `HOST-c1`, … of class `class_name`.
  SimAgent(FleetNotes* notes, std::string host, int containers, std::string class_name);
  ~SimAgent();

  // Ends the stream that is open.
  void HangUp();
  bool Idle();

 private:
  class Stream;

  void Connect();
  void Ended();
  v1::Hello Greeting();
  void Receive(const v1::Delta& delta);
  void Measure(const v1::Resource& resource);

  FleetNotes* const notes_;
  const std::string host_;
  const int containers_;
  const std::string class_name_;

  Mutex mutex_;
  agent::BackOff back_off_ ABSL_GUARDED_BY(mutex_){std::chrono::milliseconds(100),
                                                   std::chrono::milliseconds(5'000)};
  std::unique_ptr<Stream> stream_ ABSL_GUARDED_BY(mutex_);
  bool idle_ ABSL_GUARDED_BY(mutex_) = false;
  bool steady_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<v1::ResourceKind, std::string>, uint64_t> known_ ABSL_GUARDED_BY(mutex_);
  grpc::Alarm pause_;
};

}  // namespace sallyport::bench

#endif  // SALLYPORT_BENCH_FLEET_SIM_AGENT_H_
