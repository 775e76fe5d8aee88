// The system calls that are left to the proxy.

#ifndef SALLYPORT_AGENT_PROXY_SYSTEM_CALLS_H_
#define SALLYPORT_AGENT_PROXY_SYSTEM_CALLS_H_

#include "absl/status/status.h"

namespace sallyport::proxy {

// Leaves this thread, and those that it starts, the calls that serving needs: on descriptors,
// sockets of IP, memory that is not executable, threads, time. To open a file is ENOENT. Any other
// call ends the process (SIGSYS), rather than fail: whoever has taken the proxy over has no second
// try, code of ours does not go on where it was never tested, and the agent starts the next proxy
// on the same sockets.
// Nothing in a build with a sanitizer, whose run time needs more. REQUIRES: no_new_privs is set,
// and this is the only thread.
absl::Status FilterSystemCalls();

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_SYSTEM_CALLS_H_
