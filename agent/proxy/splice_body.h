// Moves a body inside the kernel.

#ifndef SALLYPORT_AGENT_PROXY_SPLICE_BODY_H_
#define SALLYPORT_AGENT_PROXY_SPLICE_BODY_H_

#include "absl/status/status.h"
#include "agent/proxy/http/spliced.h"
#include "agent/proxy/task.h"

namespace sallyport::proxy {

// Whether the next bytes of a body can go from `source` (null: of no such kind) to `sink` (the
// same) without being copied.
inline bool CanSplice(const SplicedSource* source, const SplicedSink* sink) {
  return source != nullptr && sink != nullptr && source->CanFill() && sink->CanDrain();
}

// How far it went: at most one of the two is not OK.
struct SplicedBody {
  absl::Status source;
  absl::Status sink;
};

// Moves what can be, and leaves the rest, which may be all of it, to be copied. While nothing moves
// it holds no pipe. REQUIRES: CanSplice. Both outlive this.
Task<SplicedBody> SpliceBody(SplicedSource* source, SplicedSink* sink);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_SPLICE_BODY_H_
