// One deadline on a stream for two directions.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_DEADLINES_H_
#define SALLYPORT_AGENT_PROXY_HTTP_DEADLINES_H_

#include <algorithm>
#include <chrono>

#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// A stream has one deadline, and a read and a write may be under way at once: the earlier of theirs
// counts, and ends both, since neither direction is of use without the other. Belongs to one
// worker.
class Deadlines {
 public:
  using Duration = std::chrono::milliseconds;

  // `stream` outlives this, or Detach is called.
  explicit Deadlines(Stream* stream) : stream_(stream) {}

  void BeginRead(SteadyTime deadline) { Set(&read_, deadline); }
  void EndRead() { Set(&read_, SteadyTime::max()); }
  // While such a read waits, each write that gets through gives it `time` again: a response is not
  // late before its request has been sent, and who takes the one body may be slow with the other.
  void BeginReadAfterWrites(Duration time) {
    after_writes_ = time;
    BeginRead(In(time));
  }
  void EndReadAfterWrites() {
    after_writes_ = Duration::zero();
    EndRead();
  }

  void BeginWrite(Duration time) { Set(&write_, In(time)); }
  void EndWrite() {
    if (after_writes_ > Duration::zero()) read_ = In(after_writes_);
    Set(&write_, SteadyTime::max());
  }

  // The stream is gone.
  void Detach() { stream_ = nullptr; }

  static SteadyTime In(Duration time) { return std::chrono::steady_clock::now() + time; }

 private:
  void Set(SteadyTime* side, SteadyTime deadline) {
    *side = deadline;
    if (stream_ != nullptr) stream_->SetDeadline(std::min(read_, write_));
  }

  Stream* stream_;
  SteadyTime read_ = SteadyTime::max();
  SteadyTime write_ = SteadyTime::max();
  Duration after_writes_{0};
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_DEADLINES_H_
