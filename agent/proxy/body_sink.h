// Where a body goes, piece by piece.

#ifndef SALLYPORT_AGENT_PROXY_BODY_SINK_H_
#define SALLYPORT_AGENT_PROXY_BODY_SINK_H_

#include <string_view>

#include "absl/status/status.h"
#include "agent/proxy/http/message.h"
#include "agent/proxy/task.h"

namespace sallyport::proxy {

// Belongs to one worker.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // Returns when the receiver's flow control lets it. INVALID_ARGUMENT: more than was announced.
  virtual Task<absl::Status> Write(std::string_view piece) = 0;
  // INVALID_ARGUMENT: less than was announced.
  virtual Task<absl::Status> Finish(const Headers& trailers) = 0;
  // The receiver gets no more, and knows that it has not got all. Ends a Write that waits.
  virtual void CutOff() = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_BODY_SINK_H_
