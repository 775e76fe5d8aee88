// The operator's side: changes policy and measures when that is answered.

#ifndef SALLYPORT_BENCH_FLEET_CHANGES_H_
#define SALLYPORT_BENCH_FLEET_CHANGES_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "bench/fleet/latencies.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"

namespace sallyport::bench {

// For one thread.
class Changes {
 public:
  // One connection to the control plane.
  explicit Changes(const std::string& target);

  // What the rest needs: a class, and a handler `bench` for rules. Errors end the program.
  void Prepare(const std::string& class_name);

  // Changes the class and waits until every host enforces it. Ends the program unless all do.
  void ChangeClass(const std::string& class_name);

  // `rate` changes a second, each of another container in turn, started on time whether or not
  // those before are answered. Returns when all are.
  void ChangeContainers(const std::vector<std::string>& ids, int rate, std::chrono::seconds length);

  Latencies& enforced() { return enforced_; }  // From when it was due until the answer ENFORCED.
  size_t not_enforced() const { return others_; }  // Answers of the last load that were another.

 private:
  const std::unique_ptr<v1::OutboundPolicy::Stub> policy_;
  const std::string target_;
  Latencies enforced_;
  size_t others_ = 0;
};

}  // namespace sallyport::bench

#endif  // SALLYPORT_BENCH_FLEET_CHANGES_H_
