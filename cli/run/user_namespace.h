// What lets an ordinary user make sandboxes.

#ifndef SALLYPORT_CLI_RUN_USER_NAMESPACE_H_
#define SALLYPORT_CLI_RUN_USER_NAMESPACE_H_

#include <sys/types.h>

#include "absl/status/status.h"

namespace sallyport::cli {

// A user, as the namespace around sees it.
struct User {
  uid_t uid = 0;
  gid_t gid = 0;
};

// Makes this process root of a user namespace of its own, with mounts of its own: root over the
// namespaces that it makes from here on, and nobody but `user` to everything else.
// FAILED_PRECONDITION, with the setting to change, where the kernel forbids it. REQUIRES: a process
// with one thread.
absl::Status BecomeRootOfNamespace(const User& user);

// The way back for the command: `user` again, in a user namespace below, which owns nothing of the
// sandbox. Its mounts cannot be undone from there. REQUIRES: BecomeRootOfNamespace, by this process
// or one that started it.
absl::Status BecomeUserAgain(const User& user);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_USER_NAMESPACE_H_
