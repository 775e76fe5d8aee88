// A map that forgets what was not used for longest.

#ifndef SALLYPORT_AGENT_PROXY_TLS_LRU_MAP_H_
#define SALLYPORT_AGENT_PROXY_TLS_LRU_MAP_H_

#include <cstddef>
#include <list>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace sallyport::proxy {

// Keys are strings. Not thread-safe.
template <typename Value>
class LruMap {
 public:
  explicit LruMap(size_t capacity) : capacity_(capacity) {}

  // nullptr if absent. Counts as use. Valid until the next call.
  Value* Find(const std::string& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->second;
  }

  Value* Set(const std::string& key, Value value) {
    if (Value* present = Find(key)) {
      *present = std::move(value);
      return present;
    }
    if (entries_.size() == capacity_) {
      index_.erase(entries_.back().first);
      entries_.pop_back();
    }
    entries_.emplace_front(key, std::move(value));
    index_.emplace(key, entries_.begin());
    return &entries_.front().second;
  }

  // What Set would forget for a new key. Does not count as use. REQUIRES: there is an entry.
  const std::pair<std::string, Value>& Oldest() const { return entries_.back(); }

  void Erase(const std::string& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    entries_.erase(found->second);
    index_.erase(found);
  }

  size_t size() const { return entries_.size(); }

 private:
  using Entries = std::list<std::pair<std::string, Value>>;

  const size_t capacity_;
  Entries entries_;  // Latest use first.
  absl::flat_hash_map<std::string, typename Entries::iterator> index_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_LRU_MAP_H_
