#include "agent/proxy/dns/query_budget.h"

#include <string>

namespace sallyport::proxy {
namespace {

// Where the label before the one at `begin` begins.
size_t LabelBefore(std::string_view name, size_t begin) {
  if (begin < 2) return 0;
  const size_t dot = name.rfind('.', begin - 2);
  return dot == std::string_view::npos ? 0 : dot + 1;
}

}  // namespace

std::string_view LikelyRegisteredName(std::string_view name) {
  const size_t top = LabelBefore(name, name.size() + 1);
  const size_t second = LabelBefore(name, top);
  const bool is_registry = name.size() - top == 2 && top - second <= 3 + 1;
  return name.substr(is_registry ? LabelBefore(name, second) : second);
}

QueryBudget::QueryBudget(const DnsLimits& limits, SteadyTime now)
    : limits_(limits),
      queries_(limits.queries_per_second, limits.queries_at_once, now),
      upstream_(limits.upstream_per_second, limits.upstream_at_once, now) {}

bool QueryBudget::AdmitQuery(SteadyTime now) {
  MutexLock lock(&mutex_);
  return queries_.Take(1, now);
}

QueryBudget::Upstream QueryBudget::AdmitUpstream(const Host& name, SteadyTime now) {
  const std::string_view registered = LikelyRegisteredName(name.text());
  const auto bytes = static_cast<double>(name.text().size() - registered.size());
  MutexLock lock(&mutex_);
  if (names_.Find(name.text()) == nullptr) {
    const std::string key(registered);
    TokenBucket* left = name_bytes_.Find(key);
    if (left == nullptr) {
      left = name_bytes_.Set(
          key, TokenBucket(limits_.name_bytes_per_second, limits_.name_bytes_at_once, now));
    }
    // Before the other budget, so that a tunnel does not use it up.
    if (!left->Take(bytes, now)) return Upstream::kTunnel;
    names_.Set(name.text(), 0);
  }
  return upstream_.Take(1, now) ? Upstream::kAdmitted : Upstream::kOverloaded;
}

}  // namespace sallyport::proxy
