#include "agent/proxy/audit/class_stats.h"

#include <algorithm>
#include <iterator>

namespace sallyport::proxy {

void ClassStats::Totals::Add(const Totals& other) {
  for (const auto& [what, count] : other.decisions) decisions[what] += count;
  bytes_sent += other.bytes_sent;
  bytes_received += other.bytes_received;
  for (size_t i = 0; i < durations.size(); ++i) durations[i] += other.durations[i];
  requests += other.requests;
  durations_sum_us += other.durations_sum_us;
}

void ClassStats::Count(const AuditRecord& record) {
  MutexLock lock(&mutex_);
  Totals& totals = classes_[record.class_name];
  ++totals.decisions[{record.decision, record.reason}];
  totals.bytes_sent += record.bytes_sent;
  totals.bytes_received += record.bytes_received;
  if (record.method.empty()) return;
  const auto took = static_cast<uint64_t>(std::max<int64_t>(record.duration_us, 0));
  const auto bound = std::ranges::lower_bound(Totals::kBounds, took);
  if (bound != Totals::kBounds.end())
    ++totals.durations[std::distance(Totals::kBounds.begin(), bound)];
  ++totals.requests;
  totals.durations_sum_us += took;
}

void ClassStats::AddTo(ByClass* totals) const {
  MutexLock lock(&mutex_);
  for (const auto& [name, ours] : classes_) (*totals)[name].Add(ours);
}

void FillIn(const ClassStats::ByClass& totals, v1::UsageResponse* usage) {
  for (const auto& [name, counted] : totals) {
    v1::UsageResponse::Class* const one = usage->add_classes();
    one->set_class_name(name);
    for (const auto& [what, count] : counted.decisions) {
      v1::UsageResponse::Class::Decision* const decision = one->add_decisions();
      decision->set_decision(std::string(what.first));
      decision->set_reason(std::string(what.second));
      decision->set_count(count);
    }
    one->set_bytes_sent(counted.bytes_sent);
    one->set_bytes_received(counted.bytes_received);
    for (size_t i = 0; i < counted.durations.size(); ++i) {
      v1::UsageResponse::Class::Bucket* const bucket = one->add_durations();
      bucket->set_at_most_us(ClassStats::Totals::kBounds[i]);
      bucket->set_count(counted.durations[i]);
    }
    one->set_requests(counted.requests);
    one->set_durations_sum_us(counted.durations_sum_us);
  }
}

}  // namespace sallyport::proxy
