// The two ends of a body whose bytes cross inside the kernel, by splice(2), uncopied.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_SPLICED_H_
#define SALLYPORT_AGENT_PROXY_HTTP_SPLICED_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/proxy/pipe_pool.h"
#include "agent/proxy/task.h"

namespace sallyport::proxy {

// Beside a BodyReader, for a body that comes over a plain socket with no framing between its bytes.
class SplicedSource {
 public:
  // Whether the body's next bytes are still in the socket, and so many that a pipe is worth it.
  virtual bool CanFill() const = 0;
  // Moves what has come of them; 0: nothing, AwaitMore. Errors as of BodyReader::Read.
  // REQUIRES: CanFill(), and `pipe` is empty.
  virtual absl::StatusOr<size_t> Fill(PipePool::Pipe* pipe) = 0;
  virtual Task<absl::Status> AwaitMore() = 0;

 protected:
  ~SplicedSource() = default;
};

// Beside WriteBody, under the same condition.
class SplicedSink {
 public:
  virtual bool CanDrain() const = 0;
  // Writes all that `pipe` holds, behind everything that was written before. Errors as of
  // WriteBody. REQUIRES: CanDrain().
  virtual Task<absl::Status> Drain(PipePool::Pipe* pipe) = 0;

 protected:
  ~SplicedSink() = default;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_SPLICED_H_
