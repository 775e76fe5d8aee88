// An endpoint that is registered for as long as the program that serves it lives.

#ifndef SALLYPORT_SDK_CPP_LIVE_ENDPOINT_H_
#define SALLYPORT_SDK_CPP_LIVE_ENDPOINT_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "sdk/cpp/sallyport/handler.h"

namespace sallyport {
inline namespace handler_sdk {

// One endpoint of one handler: a stream to the control plane, on a thread of its own. Comes back by
// itself when the control plane was away. Thread-safe.
class LiveEndpoint {
 public:
  // Begins to register it.
  LiveEndpoint(Live live, std::string name, std::string endpoint);
  // Takes it away.
  ~LiveEndpoint();
  LiveEndpoint(const LiveEndpoint&) = delete;
  LiveEndpoint& operator=(const LiveEndpoint&) = delete;

  // Waits until it is registered, or, with a line in the log, the control plane turns out not to be
  // there now. Else why it was refused; then nothing more is tried.
  absl::Status AwaitFirst();
  // Returns when no host sends new calls any more, or cannot be told. Those that run go on.
  void Drain();

 private:
  using Clock = std::chrono::steady_clock;
  struct Stream;

  void Run();
  // One stream, until it ends; why it did.
  absl::Status Serve();
  absl::StatusOr<std::shared_ptr<Stream>> Open() const;
  void Take(bool registered, bool drained);
  // Ends our messages, at most once, if the start is written.
  void HalfClose(Stream* stream);
  // Whether to try again, after a while.
  bool Pause(const absl::Status& ended);
  std::string ToString() const;

  const Live live_;
  const std::string name_;
  const std::string endpoint_;

  Mutex mutex_;
  CondVar changed_;
  std::shared_ptr<Stream> stream_ ABSL_GUARDED_BY(mutex_);
  // Of that stream. Who writes after the start comes after it, and one at a time.
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool registered_ ABSL_GUARDED_BY(mutex_) = false;

  bool ending_ ABSL_GUARDED_BY(mutex_) = false;  // No stream is opened any more.
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool drained_ ABSL_GUARDED_BY(mutex_) = false;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;                  // The thread is done.
  std::optional<absl::Status> first_ ABSL_GUARDED_BY(mutex_);  // How the first attempt went.
  std::chrono::milliseconds wait_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // Last: starts when the rest is there.
};

}  // namespace handler_sdk
}  // namespace sallyport

#endif  // SALLYPORT_SDK_CPP_LIVE_ENDPOINT_H_
