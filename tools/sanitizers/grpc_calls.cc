// ThreadSanitizer does not see how gRPC takes an operation from the thread that starts it to the
// one that hears of its end (a completion queue: every callback runs on a thread that took its tag
// from one), nor how it counts who still uses a call. The functions here stand in front of gRPC's
// and say so: for each operation by its tag, for each call by its count.

#include <grpc/grpc.h>
#include <grpcpp/support/server_callback.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <utility>

#include "tools/sanitizers/interpose.h"

namespace {

using ::sallyport::sanitizers::Acquire;
using ::sallyport::sanitizers::Real;
using ::sallyport::sanitizers::Release;

// Stands for all that was set up before any server of the process started.
constexpr char kServerSetUp = 0;
// Stands for the ends of all calls, which a server waits for before it ends.
constexpr char kCallsEnded = 0;

// Does what gRPC's executor would do, by locks that are seen.
class Executor {
 public:
  Executor() { std::thread(&Executor::Run, this).detach(); }
  void Add(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    queue_.push(std::move(work));
    changed_.notify_one();
  }

 private:
  void Run() {
    while (true) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !queue_.empty(); });
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop();
      lock.unlock();
      work();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::queue<std::function<void()>> queue_;
};

}  // namespace

namespace grpc::internal {

void ServerCallbackCall::ScheduleOnDone(bool inline_ondone) {
  // The last use may have ended in the library: the others' ends are not seen by that.
  Acquire(&callbacks_outstanding_);
  Acquire(&on_cancel_conditions_remaining_);
  if (inline_ondone) return CallOnDone();
  static Executor& executor = *new Executor;
  executor.Add([this] { CallOnDone(); });
}

}  // namespace grpc::internal

extern "C" {

grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops, size_t count, void* tag,
                                      void* reserved) {
  Release(tag);
  return Real<"grpc_call_start_batch", grpc_call_error>(call, ops, count, tag, reserved);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                      void* reserved) {
  const auto event = Real<"grpc_completion_queue_next", grpc_event>(queue, deadline, reserved);
  Acquire(&kServerSetUp);
  if (event.type == GRPC_OP_COMPLETE) Acquire(event.tag);
  return event;
}

grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag,
                                       gpr_timespec deadline, void* reserved) {
  const auto event =
      Real<"grpc_completion_queue_pluck", grpc_event>(queue, tag, deadline, reserved);
  if (event.type == GRPC_OP_COMPLETE) Acquire(tag);
  return event;
}

void grpc_server_start(grpc_server* server) {
  Release(&kServerSetUp);
  Real<"grpc_server_start">(server);
}

void grpc_call_unref(grpc_call* call) {
  Release(&kCallsEnded);
  Real<"grpc_call_unref">(call);
}

void grpc_server_destroy(grpc_server* server) {
  Real<"grpc_server_destroy">(server);
  Acquire(&kCallsEnded);
}

}  // extern "C"
