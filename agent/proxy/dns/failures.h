// Questions that the operator's resolvers have just failed to answer.

#ifndef SALLYPORT_AGENT_PROXY_DNS_FAILURES_H_
#define SALLYPORT_AGENT_PROXY_DNS_FAILURES_H_

#include <chrono>
#include <deque>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "agent/proxy/dns/message.h"
#include "agent/proxy/stream.h"
#include "common/base/mutex.h"
#include "common/net/host.h"

namespace sallyport::proxy {

// Of one container, on all workers. They are not asked again at once (RFC 9520 section 3.2): a
// refusal would else cost each connection a question. Thread-safe.
class DnsFailures {
 public:
  static constexpr std::chrono::seconds kKept{1};
  // The oldest goes when there are more.
  static constexpr size_t kMaxKept = 256;

  std::optional<absl::Status> Find(const Host& name, DnsType type, SteadyTime now);
  void Store(const Host& name, DnsType type, absl::Status failure, SteadyTime now);

 private:
  using Question = std::pair<Host, DnsType>;
  struct Failure {
    absl::Status status;
    SteadyTime until;
  };

  Mutex mutex_;
  absl::flat_hash_map<Question, Failure> failures_ ABSL_GUARDED_BY(mutex_);
  std::deque<Question> oldest_first_ ABSL_GUARDED_BY(mutex_);  // Each once, by `until`.
  SteadyTime latest_ ABSL_GUARDED_BY(mutex_);                  // `until` of the last.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_FAILURES_H_
