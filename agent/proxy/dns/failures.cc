#include "agent/proxy/dns/failures.h"

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
  failures_.emplace(question, Failure{std::move(failure), now + kKept});
  oldest_first_.push_back(std::move(question));
}

}  // namespace sallyport::proxy
