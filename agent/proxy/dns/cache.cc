#include "agent/proxy/dns/cache.h"

#include <iterator>

namespace sallyport::proxy {
namespace {

// A name that does not exist has no records of any type; 0 is none.
constexpr DnsType kEveryType{0};
// One answer takes at most this part of the bytes.
constexpr size_t kSharePerAnswer = 4;

}  // namespace

std::optional<UpstreamAnswer> DnsCache::Find(const Host& name, DnsType type, SteadyTime now) {
  MutexLock lock(&mutex_);
  std::optional<UpstreamAnswer> found = FindEntry({name, type}, now);
  if (!found.has_value()) found = FindEntry({name, kEveryType}, now);
  return found;
}

std::optional<UpstreamAnswer> DnsCache::FindEntry(const Key& key, SteadyTime now) {
  const auto found = index_.find(key);
  if (found == index_.end()) return std::nullopt;
  const Entries::iterator entry = found->second;
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - entry->stored).count();
  if (age < 0 || age >= entry->answer.lifetime()) {
    Erase(entry);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  UpstreamAnswer answer = entry->answer;
  answer.Age(static_cast<uint32_t>(age));
  return answer;
}

void DnsCache::Store(const Host& name, DnsType type, const UpstreamAnswer& answer, SteadyTime now) {
  if (answer.lifetime() == 0 || answer.memory_bytes() > max_bytes_ / kSharePerAnswer) return;
  const bool exists = answer.rcode() != DnsRcode::kNxDomain || answer.has_records();
  const Key key{name, exists ? type : kEveryType};
  MutexLock lock(&mutex_);
  if (const auto found = index_.find(key); found != index_.end()) Erase(found->second);
  entries_.push_front({key, answer, now});
  index_[key] = entries_.begin();
  bytes_ += answer.memory_bytes();
  while (entries_.size() > max_answers_ || bytes_ > max_bytes_) Erase(std::prev(entries_.end()));
}

void DnsCache::Erase(Entries::iterator entry) {
  bytes_ -= entry->answer.memory_bytes();
  index_.erase(entry->key);
  entries_.erase(entry);
}

size_t DnsCache::size() const {
  MutexLock lock(&mutex_);
  return entries_.size();
}

}  // namespace sallyport::proxy
