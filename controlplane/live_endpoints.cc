#include "controlplane/live_endpoints.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/strings.h"
#include "common/policy/live_endpoint.h"
#include "controlplane/concern.h"

namespace sallyport {
namespace {

// After the store could not be written.
constexpr std::chrono::seconds kTryAgainAfter(1);

absl::Status Stopping() { return absl::UnavailableError("the control plane stops; connect again"); }
void StopRemoved(const std::vector<std::shared_ptr<LiveStream>>& streams) {
  for (const auto& stream : streams) {
    stream->Stop(absl::NotFoundError("name: the handler was removed; register it anew first"));
  }
}

bool IsIn(const State& state, const LiveEndpoints::Key& key) {
  const HandlerRecord* const record = state.handlers.Peek(key.handler);
  return record != nullptr && FindLiveEndpoint(record->value, key.endpoint) != nullptr;
}

absl::Status Behind() { return absl::UnavailableError("the store is behind; try again"); }

}  // namespace

void LiveEndpoints::Start(WriteQueue* writer) {
  writer_ = writer;
  {
    MutexLock lock(&mutex_);
    Seed(*store_->Read());
  }
  timer_ = std::thread([this] { RunTimer(); });
}

void LiveEndpoints::Stop() {
  Streams streams;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    streams = AllStreams();
    handlers_.clear();
    streams_ = 0;
  }
  wake_timer_.Signal();
  for (const auto& stream : streams) stream->Stop(Stopping());
  if (timer_.joinable()) timer_.join();
}

void LiveEndpoints::Seed(const State& state) {
  epoch_ = state.epoch;
  const Clock::time_point until = Clock::now() + grace_at_start_;
  for (const auto& [name, record] : state.handlers.Sorted()) {
    for (const v1::LiveEndpoint& live : record->value.live_endpoints()) {
      Endpoint endpoint;
      endpoint.stored = true;
      // Nobody waits for one that drains.
      endpoint.until = live.draining() ? Clock::now() : until;
      handlers_[name].endpoints[live.endpoint()] = endpoint;
      Schedule(endpoint.until, {name, live.endpoint()});
    }
  }
}

LiveEndpoints::Endpoint* LiveEndpoints::Find(const Key& key) {
  const auto handler = handlers_.find(key.handler);
  if (handler == handlers_.end()) return nullptr;
  const auto endpoint = handler->second.endpoints.find(key.endpoint);
  return endpoint == handler->second.endpoints.end() ? nullptr : &endpoint->second;
}

void LiveEndpoints::Erase(const Key& key) {
  const auto handler = handlers_.find(key.handler);
  handler->second.endpoints.erase(key.endpoint);
  if (handler->second.endpoints.empty()) handlers_.erase(handler);
}

void LiveEndpoints::Schedule(Clock::time_point when, const Key& key) {
  due_.emplace(when, key);
  wake_timer_.Signal();
}

absl::Status LiveEndpoints::Join(const Key& key, const std::shared_ptr<LiveStream>& stream,
                                 Clock::duration grace, Done done) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return Stopping();
    const auto known = handlers_.find(key.handler);
    const size_t of_handler = known == handlers_.end() ? 0 : known->second.streams;
    if (streams_ >= kMaxStreams || of_handler >= kMaxStreamsOfHandler) {
      return absl::ResourceExhaustedError(StrCat("there are ", kMaxStreams,
                                                 " streams of services, or ", kMaxStreamsOfHandler,
                                                 " of handler ", key.handler, "; end some"));
    }
    ++streams_;
    Handler& handler = handlers_[key.handler];
    ++handler.streams;
    handler.endpoints[key.endpoint].holders.push_back({stream, grace});
  }
  const bool accepted =
      Write(key, [this, key, stream, done = std::move(done)](const Store::Written& written) {
        if (!written.ok()) Remove(key, stream.get(), Leaving::kBrokenOff);
        done(written);
      });
  if (accepted) return absl::OkStatus();
  Remove(key, stream.get(), Leaving::kBrokenOff);
  return Behind();
}

absl::Status LiveEndpoints::Drain(const Key& key, const LiveStream* stream, Done done) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return Stopping();
    if (Endpoint* const endpoint = Find(key)) {
      for (Holder& holder : endpoint->holders) {
        if (holder.stream.get() == stream) holder.draining = true;
      }
    }
  }
  return Write(key, std::move(done)) ? absl::OkStatus() : Behind();
}

void LiveEndpoints::Leave(const Key& key, const LiveStream* stream, Leaving leaving,
                          const std::function<void()>& done) {
  if (Remove(key, stream, leaving) && Write(key, [done](const Store::Written&) { done(); })) return;
  done();
}

bool LiveEndpoints::Remove(const Key& key, const LiveStream* stream, Leaving leaving) {
  Holder gone;  // Its last owner must not be destroyed under the lock.
  MutexLock lock(&mutex_);
  Endpoint* const endpoint = stopping_ ? nullptr : Find(key);
  if (endpoint == nullptr) return false;
  const auto holder = std::ranges::find_if(
      endpoint->holders, [stream](const Holder& one) { return one.stream.get() == stream; });
  if (holder == endpoint->holders.end()) return false;
  gone = std::move(*holder);
  endpoint->holders.erase(holder);
  --streams_;
  --handlers_[key.handler].streams;
  if (!endpoint->holders.empty()) return true;
  const bool stays = leaving == Leaving::kBrokenOff && !gone.draining && endpoint->stored;
  if (!stays) {
    Erase(key);
    return true;
  }
  endpoint->until = Clock::now() + gone.grace;
  Schedule(endpoint->until, key);
  return false;
}

void LiveEndpoints::OnStoreChange() {
  Streams restored;
  Streams removed;
  {
    const std::shared_ptr<const State> state = store_->Read();
    MutexLock lock(&mutex_);
    if (stopping_) return;
    if (state->epoch != epoch_) {
      restored = AllStreams();
      handlers_.clear();
      streams_ = 0;
      Seed(*state);
    }
    std::vector<std::string> changed;
    for (auto& [name, handler] : handlers_) {
      const HandlerRecord* const record = state->handlers.Peek(name);
      const uint64_t revision = record == nullptr ? 0 : record->revision;
      if (std::exchange(handler.seen, revision) != revision) changed.push_back(name);
    }
    for (const std::string& name : changed) DropMissing(*state, name, &removed);
  }
  for (const auto& stream : restored) {
    stream->Stop(absl::UnavailableError("the store was restored from a backup; connect again"));
  }
  StopRemoved(removed);
}

void LiveEndpoints::DropMissing(const State& state, const std::string& name, Streams* streams) {
  const auto known = handlers_.find(name);
  if (known == handlers_.end()) return;
  Handler& handler = known->second;
  for (auto at = handler.endpoints.begin(); at != handler.endpoints.end();) {
    const auto here = at++;
    std::vector<Holder>& holders = here->second.holders;
    if (!here->second.stored || IsIn(state, {name, here->first})) continue;
    streams_ -= holders.size();
    handler.streams -= holders.size();
    for (Holder& holder : holders) streams->push_back(std::move(holder.stream));
    handler.endpoints.erase(here);
  }
  if (handler.endpoints.empty()) handlers_.erase(known);
}

LiveEndpoints::Streams LiveEndpoints::AllStreams() {
  Streams streams;
  for (const auto& [name, handler] : handlers_) {
    for (const auto& [text, endpoint] : handler.endpoints) {
      for (const Holder& holder : endpoint.holders) streams.push_back(holder.stream);
    }
  }
  return streams;
}

void LiveEndpoints::RecheckAll() {
  Streams streams;
  {
    MutexLock lock(&mutex_);
    streams = AllStreams();
  }
  for (const auto& stream : streams) stream->Recheck();
}

bool LiveEndpoints::Write(const Key& key, Done done) {
  return writer_->Write([this, key](Transaction& transaction) { return Settle(key, &transaction); },
                        [this, key, done = std::move(done)](const Store::Written& written) {
                          Settled(key, written);
                          done(written);
                        });
}

absl::Status LiveEndpoints::Settle(const Key& key, Transaction* transaction) {
  v1::LiveEndpoint wanted;
  wanted.set_endpoint(key.endpoint);
  {
    MutexLock lock(&mutex_);
    const Endpoint* const endpoint = Find(key);
    if (stopping_) return Stopping();
    if (endpoint == nullptr) {
      transaction->DeleteLiveEndpoint(key.handler, key.endpoint);
      return absl::OkStatus();
    }
    const std::vector<Holder>& holders = endpoint->holders;
    wanted.set_draining(!holders.empty() && std::ranges::all_of(holders, [](const Holder& one) {
      return one.draining;
    }));
  }
  return transaction->PutLiveEndpoint(key.handler, wanted);
}

void LiveEndpoints::Settled(const Key& key, const Store::Written& written) {
  Streams removed;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    Endpoint* const endpoint = Find(key);
    if (endpoint != nullptr && written.ok() && IsIn(**written, key)) {
      endpoint->stored = true;
      endpoint->behind = false;
      // The handler may have been removed again by the same commit.
      DropMissing(*store_->Read(), key.handler, &removed);
    } else if (absl::IsUnavailable(written.status())) {
      // Also of one that nobody wants any more: the store still has it.
      if (endpoint != nullptr) endpoint->behind = true;
      Schedule(Clock::now() + kTryAgainAfter, key);
    }
  }
  StopRemoved(removed);
  if (written.ok()) hub_->Poke(ConcernedHosts(**written, ResourceId::Handler(key.handler)));
}

std::vector<LiveEndpoints::Key> LiveEndpoints::TakeDue(Clock::time_point now) {
  std::vector<Key> keys;
  while (!due_.empty() && due_.begin()->first <= now) {
    const Key key = due_.begin()->second;
    due_.erase(due_.begin());
    const Endpoint* const endpoint = Find(key);
    if (endpoint != nullptr && !endpoint->behind &&
        (!endpoint->holders.empty() || endpoint->until > now)) {
      continue;
    }
    if (endpoint != nullptr && endpoint->holders.empty() && endpoint->until <= now) {
      LogInfo("handler ", key.handler, ": ", key.endpoint, " has gone, and did not come back");
      Erase(key);
    }
    keys.push_back(key);
  }
  return keys;
}

void LiveEndpoints::RunTimer() {
  while (true) {
    std::vector<Key> keys;
    {
      MutexLock lock(&mutex_);
      if (stopping_) return;
      keys = TakeDue(Clock::now());
      if (keys.empty() && due_.empty()) {
        wake_timer_.Wait(&mutex_);
      } else if (keys.empty()) {
        wake_timer_.WaitUntil(&mutex_, due_.begin()->first);
      }
    }
    for (const Key& key : keys) {
      if (Write(key, [](const Store::Written&) {})) continue;
      MutexLock lock(&mutex_);
      Schedule(Clock::now() + kTryAgainAfter, key);
    }
  }
}

}  // namespace sallyport
