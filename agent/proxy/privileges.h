// What the proxy gives up before it reads the first byte of a container.

#ifndef SALLYPORT_AGENT_PROXY_PRIVILEGES_H_
#define SALLYPORT_AGENT_PROXY_PRIVILEGES_H_

#include <string>

#include "absl/status/status.h"

namespace sallyport::proxy {

// REQUIRES: called as root, before any thread is started. Afterwards the process
// - runs as `user` and its group, with no other groups, no capability and no way to gain one.
// "root" is for a user namespace, whose root is an ordinary user: the process stays that,
// - sees an empty read-only file system, the only one of its mount namespace, and no file of it may
// be opened (Landlock, where the kernel has it),
// - leaves no core dump and cannot be traced by its own user,
// - has the system calls that serving needs (agent/proxy/system_calls.h).
// Any step that fails is an error, and the process must exit.
absl::Status DropPrivileges(const std::string& user);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_PRIVILEGES_H_
