#include "controlplane/sync_hub.h"

#include <utility>

namespace sallyport {

void SyncHub::Claim(const std::string& host, std::shared_ptr<SyncStream> stream) {
  std::shared_ptr<SyncStream> older;
  {
    MutexLock lock(&mutex_);
    older = std::exchange(streams_[host], std::move(stream));
  }
  if (older != nullptr) older->Replace();
}

void SyncHub::Release(const std::string& host, const SyncStream* stream) {
  std::shared_ptr<SyncStream> released;  // Its last owner must not be destroyed under the lock.
  MutexLock lock(&mutex_);
  const auto it = streams_.find(host);
  if (it == streams_.end() || it->second.get() != stream) return;
  released = std::move(it->second);
  streams_.erase(it);
}

bool SyncHub::IsLive(const std::string& host) const {
  MutexLock lock(&mutex_);
  return streams_.contains(host);
}

size_t SyncHub::size() const {
  MutexLock lock(&mutex_);
  return streams_.size();
}

void SyncHub::Poke(const std::set<std::string>& hosts) const {
  std::vector<std::shared_ptr<SyncStream>> streams;
  {
    MutexLock lock(&mutex_);
    for (const std::string& host : hosts) {
      const auto it = streams_.find(host);
      if (it != streams_.end()) streams.push_back(it->second);
    }
  }
  for (const auto& stream : streams) stream->Poke();
}

std::vector<std::shared_ptr<SyncStream>> SyncHub::All() const {
  std::vector<std::shared_ptr<SyncStream>> streams;
  MutexLock lock(&mutex_);
  for (const auto& [host, stream] : streams_) streams.push_back(stream);
  return streams;
}

void SyncHub::StopAll(const std::string& why) {
  for (const auto& stream : All()) stream->Stop(why);
}

void SyncHub::RecheckAll() {
  for (const auto& stream : All()) stream->Recheck();
}

}  // namespace sallyport
