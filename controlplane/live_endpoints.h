// Which services hold which handlers' endpoints, and how long one stays that nobody holds.

#ifndef SALLYPORT_CONTROLPLANE_LIVE_ENDPOINTS_H_
#define SALLYPORT_CONTROLPLANE_LIVE_ENDPOINTS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "common/base/mutex.h"
#include "controlplane/store/store.h"
#include "controlplane/sync_hub.h"
#include "controlplane/write_queue.h"

namespace sallyport {

// One service's stream, as the endpoints see it.
class LiveStream {
 public:
  virtual ~LiveStream() = default;
  // It holds nothing any more: ends with this status.
  virtual void Stop(const absl::Status& why) = 0;
  // Ends, in order, if its certificate has expired or is revoked.
  virtual void Recheck() = 0;
};

// The store has what is wanted here: after each change of that, one edit on the writer's thread
// looks at what is wanted by then, and makes it so. Thread-safe; calls streams with no lock held.
class LiveEndpoints {
 public:
  using Clock = std::chrono::steady_clock;
  using Done = std::function<void(const Store::Written&)>;
  struct Key {
    std::string handler;
    std::string endpoint;  // In canonical form.
  };
  enum class Leaving { kInOrder, kBrokenOff };

  static constexpr size_t kMaxStreams = 10'000;
  static constexpr size_t kMaxStreamsOfHandler = 256;
  static constexpr std::chrono::seconds kGraceAtStart{10};

  // `grace_at_start`: for what the store holds already.
  LiveEndpoints(const Store* store, const SyncHub* hub,
                Clock::duration grace_at_start = kGraceAtStart)
      : store_(store), hub_(hub), grace_at_start_(grace_at_start) {}
  ~LiveEndpoints() { Stop(); }
  LiveEndpoints(const LiveEndpoints&) = delete;
  LiveEndpoints& operator=(const LiveEndpoints&) = delete;

  // Before anything else, once. `writer` is used until Stop; what it was given then ends before
  // this object does.
  void Start(WriteQueue* writer);
  // Ends every stream; the store keeps what it has.
  void Stop();

  // The stream holds the endpoint from now on; `done` is called once that is stored, or is not:
  // then it does not hold it. An error: it does not, and `done` is not called.
  absl::Status Join(const Key& key, const std::shared_ptr<LiveStream>& stream,
                    Clock::duration grace, Done done);
  // The endpoint gets no new calls, if all that hold it say so. As above; an error if the store is
  // behind. REQUIRES: the stream holds it, or was told to stop.
  absl::Status Drain(const Key& key, const LiveStream* stream, Done done);
  // The stream holds it no more. `done` is called when the store knows, or at once.
  void Leave(const Key& key, const LiveStream* stream, Leaving leaving,
             const std::function<void()>& done);

  // After each commit: ends the streams of what is there no more.
  void OnStoreChange();
  void RecheckAll();

 private:
  struct Holder {
    std::shared_ptr<LiveStream> stream;
    Clock::duration grace{};
    bool draining = false;
  };
  struct Endpoint {
    std::vector<Holder> holders;
    bool stored = false;
    bool behind = false;        // The store could not be told.
    Clock::time_point until{};  // Without holders it stays until then.
  };
  struct Handler {
    std::map<std::string, Endpoint> endpoints;
    size_t streams = 0;
    uint64_t seen = 0;  // Its revision.
  };
  using Streams = std::vector<std::shared_ptr<LiveStream>>;

  // Everything of the store that nobody holds yet gets its time.
  void Seed(const State& state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Endpoint* Find(const Key& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Erase(const Key& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Schedule(Clock::time_point when, const Key& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True: what is wanted has changed.
  bool Remove(const Key& key, const LiveStream* stream, Leaving leaving);
  // What was stored and is not there: adds its streams.
  void DropMissing(const State& state, const std::string& handler, Streams* streams)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Streams AllStreams() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Has the store settle; false: it is behind, and `done` will not be called.
  bool Write(const Key& key, Done done);
  // These run on the writer's thread.
  absl::Status Settle(const Key& key, Transaction* transaction);
  void Settled(const Key& key, const Store::Written& written);

  void RunTimer();
  // What is due by now, to be written.
  std::vector<Key> TakeDue(Clock::time_point now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Store* const store_;
  const SyncHub* const hub_;
  const Clock::duration grace_at_start_;
  WriteQueue* writer_ = nullptr;

  Mutex mutex_;
  CondVar wake_timer_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t streams_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Handler> handlers_ ABSL_GUARDED_BY(mutex_);
  // When to look at an endpoint again. One that was scheduled in vain is passed over.
  std::multimap<Clock::time_point, Key> due_ ABSL_GUARDED_BY(mutex_);
  std::thread timer_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_LIVE_ENDPOINTS_H_
