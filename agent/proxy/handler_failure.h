// What a handler's failure is called in answers and records.

#ifndef SALLYPORT_AGENT_PROXY_HANDLER_FAILURE_H_
#define SALLYPORT_AGENT_PROXY_HANDLER_FAILURE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace sallyport::proxy {

inline constexpr std::string_view kHandlerUnreachable = "handler_unreachable";

// semantics section 6. `detail` is for the operator.
struct HandlerFailure {
  // handler_unreachable, handler_timeout, handler_failed or handler_busy.
  std::string_view reason;
  std::string detail;

  int http_status() const {
    if (reason == "handler_busy") return 503;
    return reason == "handler_timeout" ? 504 : 502;
  }
};

// REQUIRES: not OK.
HandlerFailure HandlerFailureOf(const absl::Status& status);

// The handler's body ends too early or too late.
HandlerFailure WrongLength();

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLER_FAILURE_H_
