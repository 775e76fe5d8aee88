#include "agent/proxy/handler_failure.h"

namespace sallyport::proxy {

HandlerFailure HandlerFailureOf(const absl::Status& status) {
  const std::string text(status.message());
  if (absl::IsDeadlineExceeded(status)) return {"handler_timeout", text};
  if (absl::IsUnavailable(status)) return {kHandlerUnreachable, text};
  if (absl::IsResourceExhausted(status)) return {"handler_busy", text};
  if (absl::IsOutOfRange(status))
    return {"handler_failed", "the handler ended its stream without an answer"};
  return {"handler_failed", text};
}

HandlerFailure WrongLength() {
  return {"handler_failed", "the handler's body does not have the length that it declared"};
}

}  // namespace sallyport::proxy
