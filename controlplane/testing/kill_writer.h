// A client that changes policy for as long as it is answered, and knows what must be there
// afterwards. For kill_test.

#ifndef SALLYPORT_CONTROLPLANE_TESTING_KILL_WRITER_H_
#define SALLYPORT_CONTROLPLANE_TESTING_KILL_WRITER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "proto/sallyport/v1/admin.grpc.pb.h"

namespace sallyport {

// On a connection of its own.
std::unique_ptr<v1::OutboundPolicy::Stub> PolicyAt(const std::string& address);

// One at a time changes its class, makes a container, or deletes its oldest one. Its changes are
// numbered; a class of change N says so in each of its fields. For one thread at a time.
class KillWriter {
 public:
  explicit KillWriter(int number);

  // Changes policy until a call fails: that one may have happened or not. Counts in `answered`.
  void Run(const std::string& address, std::atomic<int>* answered);
  // What is wrong with what is there; empty: nothing. Afterwards it is known what the call that
  // failed has done.
  std::string Check(v1::OutboundPolicy::Stub* policy);

 private:
  // False: the call failed.
  bool ChangeClass(v1::OutboundPolicy::Stub* policy);
  bool MakeContainer(v1::OutboundPolicy::Stub* policy);
  bool DeleteContainer(v1::OutboundPolicy::Stub* policy);
  std::string CheckClass(v1::OutboundPolicy::Stub* policy);
  std::string CheckContainers(v1::OutboundPolicy::Stub* policy);
  std::string ContainerId(uint64_t n) const;

  const std::string class_name_;
  uint64_t last_ = 0;  // Number of the last change that was tried.
  uint64_t class_change_ = 0;
  uint64_t class_revision_ = 0;
  std::set<std::string> containers_;
  // The change that was not answered.
  std::optional<uint64_t> unsure_class_;
  std::optional<std::string> unsure_container_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_TESTING_KILL_WRITER_H_
