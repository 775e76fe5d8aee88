// A body that is read piece by piece.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_BODY_H_
#define SALLYPORT_AGENT_PROXY_HTTP_BODY_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "agent/proxy/http/message.h"
#include "agent/proxy/http/spliced.h"
#include "agent/proxy/task.h"

namespace sallyport::proxy {

// Belongs to one worker.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The next bytes; empty: the body is complete (and stays so). The view holds until the next call.
  // An error: the body broke off, and what follows on the connection must not be read.
  // INVALID_ARGUMENT: the sender broke the framing.
  virtual Task<absl::StatusOr<std::string_view>> Read() = 0;
  // Whether Read would return at once, from bytes that are here already. Whoever passes the body on
  // may hold back what it has written while this is so, and has to flush it before a Read that
  // waits.
  virtual bool ReadyNow() { return false; }
  // For a body that may cross without being copied; null: this one may not.
  virtual SplicedSource* spliced() { return nullptr; }
  // Trailers, after the end, with fields removed that may not be trailers (RFC 9110 section 6.5.1).
  virtual const Headers& trailers() const = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_BODY_H_
