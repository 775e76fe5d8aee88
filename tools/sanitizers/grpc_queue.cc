// ThreadSanitizer does not see how gRPC takes an operation from the thread that starts it to the
// one that hears of its end (a completion queue: every callback runs on a thread that took its tag
// from one). The functions here stand in front of gRPC's and say so, for each operation by its tag.

#include <grpc/grpc.h>

#include "tools/sanitizers/interpose.h"

namespace {

using ::sallyport::sanitizers::Acquire;
using ::sallyport::sanitizers::Real;
using ::sallyport::sanitizers::Release;

// Stands for all that was set up before any server of the process started.
constexpr char kServerSetUp = 0;

}  // namespace

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

}  // extern "C"
