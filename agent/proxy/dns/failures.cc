#include "agent/proxy/dns/failures.h"

#include <algorithm>

namespace sallyport::proxy {

std::optional<absl::Status> DnsFailures::Find(const Host& name, DnsType type, SteadyTime now) {
  MutexLock lock(&mutex_);
  const auto found = failures_.find(Question(name, type));
  if (found == failures_.end() || now >= found->second.until) return std::nullopt;
  return found->second.status;
}

void DnsFailures::Store(const Host& name, DnsType type, absl::Status failure, SteadyTime now) {
  Question question(name, type);
  MutexLock lock(&mutex_);
  // Two workers may have asked.
  if (const auto found = failures_.find(question);
      found != failures_.end() && now < found->second.until)
    return;
  while (!oldest_first_.empty()) {
    const auto oldest = failures_.find(oldest_first_.front());
    if (oldest_first_.size() < kMaxKept && now < oldest->second.until) break;
    failures_.erase(oldest);
    oldest_first_.pop_front();
  }
  // Workers may come in another order than they looked at the clock: who came later is kept as
  // long, or an expired one could be behind one that is not.
  latest_ = std::max(latest_, now + kKept);
  failures_.emplace(question, Failure{std::move(failure), latest_});
  oldest_first_.push_back(std::move(question));
}

}  // namespace sallyport::proxy
