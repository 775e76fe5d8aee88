// A mark on the status of a call of which the handler certainly saw nothing.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_NOT_PROCESSED_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_NOT_PROCESSED_H_

#include <string_view>

#include "absl/status/status.h"

namespace sallyport::proxy {

// UNAVAILABLE with the mark; the text says so too.
absl::Status NotProcessedError(std::string_view reason);
// Whether the call may be made again, elsewhere, without being made twice.
bool IsNotProcessed(const absl::Status& status);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_NOT_PROCESSED_H_
