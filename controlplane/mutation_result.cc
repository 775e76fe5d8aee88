#include "controlplane/mutation_result.h"

#include <chrono>
#include <string>

namespace sallyport {

v1::MutationResult ToResult(uint64_t revision, const Waiters::Outcome& outcome) {
  v1::MutationResult result;
  result.set_revision(revision);
  for (const std::string& host : outcome.enforced) result.add_enforced_hosts(host);
  for (const std::string& host : outcome.pending) result.add_pending_hosts(host);
  for (const std::string& rejection : outcome.rejections) result.add_rejections(rejection);
  const auto waited = std::chrono::duration_cast<std::chrono::nanoseconds>(outcome.waited).count();
  result.mutable_waited()->set_seconds(waited / 1'000'000'000);
  result.mutable_waited()->set_nanos(static_cast<int32_t>(waited % 1'000'000'000));
  if (!outcome.rejections.empty()) {
    result.set_enforcement(v1::MutationResult::REJECTED);
  } else if (!outcome.pending.empty()) {
    result.set_enforcement(v1::MutationResult::PENDING);
  } else if (!outcome.enforced.empty()) {
    result.set_enforcement(v1::MutationResult::ENFORCED);
  } else {
    result.set_enforcement(v1::MutationResult::NOT_ATTACHED);
  }
  return result;
}

}  // namespace sallyport
