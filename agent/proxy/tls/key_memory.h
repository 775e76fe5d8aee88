// Memory for private keys.

#ifndef SALLYPORT_AGENT_PROXY_TLS_KEY_MEMORY_H_
#define SALLYPORT_AGENT_PROXY_TLS_KEY_MEMORY_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace sallyport::proxy {

// Calls `work`. What BoringSSL allocates meanwhile, in this thread, is in pages that are never
// swapped out (mlock) and in no core dump; as all that BoringSSL frees, it is overwritten then.
// RESOURCE_EXHAUSTED without the call: this process may not lock more. Thread-safe.
absl::Status WithKeyMemory(absl::FunctionRef<void()> work);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_KEY_MEMORY_H_
