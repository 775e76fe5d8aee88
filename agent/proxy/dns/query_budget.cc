#include "agent/proxy/dns/query_budget.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace sallyport::proxy {
namespace {

// Below these the registries of countries register names. Any other label below a country may be
// somebody's own, however short it is.
constexpr std::string_view kRegistryLabels[] = {"ac",   "co",  "com",  "edu", "go",  "gob",
                                                "gouv", "gov", "govt", "ltd", "mil", "ne",
                                                "net",  "nom", "or",   "org", "sch"};

// What all registered names may have together, in terms of one: enough for thousands of hosts of
// hundreds of companies; whoever has many names for a tunnel, or a registry's label for a name,
// gains little.
constexpr double kAllNamesRate = 4;
constexpr double kAllNamesAtOnce = 16;

// So many registered names are asked for one that may be forgotten.
constexpr int kMaxAsked = 8;

// Where the label before the one at `begin` begins.
size_t LabelBefore(std::string_view name, size_t begin) {
  if (begin < 2) return 0;
  const size_t dot = name.rfind('.', begin - 2);
  return dot == std::string_view::npos ? 0 : dot + 1;
}

// Where the last two labels begin.
size_t LastTwoLabels(std::string_view name) {
  return LabelBefore(name, LabelBefore(name, name.size() + 1));
}

bool IsRegistry(std::string_view two_labels) {
  const size_t dot = two_labels.find('.');
  if (dot == std::string_view::npos || two_labels.size() - dot != 2 + 1) return false;
  return std::ranges::find(kRegistryLabels, two_labels.substr(0, dot)) != std::end(kRegistryLabels);
}

}  // namespace

std::string_view LikelyRegisteredName(std::string_view name) {
  const size_t second = LastTwoLabels(name);
  return name.substr(IsRegistry(name.substr(second)) ? LabelBefore(name, second) : second);
}

QueryBudget::QueryBudget(const DnsLimits& limits, SteadyTime now)
    : limits_(limits),
      queries_(limits.queries_per_second, limits.queries_at_once, now),
      upstream_(limits.upstream_per_second, limits.upstream_at_once, now),
      all_name_bytes_(kAllNamesRate * limits.name_bytes_per_second,
                      kAllNamesAtOnce * limits.name_bytes_at_once, now) {}

bool QueryBudget::AdmitQuery(SteadyTime now) {
  MutexLock lock(&mutex_);
  return queries_.Take(1, now);
}

QueryBudget::Upstream QueryBudget::AdmitUpstream(const Host& name, SteadyTime now) {
  MutexLock lock(&mutex_);
  if (names_.Find(name.text()) == nullptr) {
    // Before the other budget, so that a tunnel does not use it up.
    if (!TakeNameBytes(name.text(), now)) return Upstream::kTunnel;
    names_.Set(name.text(), 0);
  }
  return upstream_.Take(1, now) ? Upstream::kAdmitted : Upstream::kOverloaded;
}

bool QueryBudget::TakeNameBytes(std::string_view name, SteadyTime now) {
  const std::string_view registered = LikelyRegisteredName(name);
  const auto bytes = static_cast<double>(name.size() - registered.size());
  TokenBucket* const left = bytes > 0 ? NameBytesLeft(std::string(registered), now) : nullptr;
  // Asked first, so that a tunnel does not use up what is for all.
  if (left != nullptr && !left->Has(bytes, now)) return false;
  if (!all_name_bytes_.Take(static_cast<double>(LastTwoLabels(name)), now)) return false;
  if (left != nullptr) left->Take(bytes, now);
  return true;
}

TokenBucket* QueryBudget::NameBytesLeft(const std::string& registered, SteadyTime now) {
  if (TokenBucket* left = name_bytes_.Find(registered)) return left;
  // A bucket that is full again is forgotten without loss. Others stay, or a tunnel would get a new
  // one by a thousand names of one letter.
  for (int asked = 0; asked < kMaxAsked && name_bytes_.size() == kMaxRegisteredNames; ++asked) {
    const auto& [oldest, left] = name_bytes_.Oldest();
    if (left.IsFull(now)) break;
    name_bytes_.Find(oldest);
  }
  return name_bytes_.Set(
      registered, TokenBucket(limits_.name_bytes_per_second, limits_.name_bytes_at_once, now));
}

}  // namespace sallyport::proxy
