// Into a container, as far as what runs there needs.

#ifndef SALLYPORT_CLI_DOCTOR_ENTER_H_
#define SALLYPORT_CLI_DOCTOR_ENTER_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport::cli {

// Starts this program anew, with the same arguments, from a copy in memory, unless it runs from one
// already. What is on the disk is then out of reach of a container that runs it: one whose `curl`
// is a link to /proc/self/exe gets the copy, which cannot be written to. Returns only on an error.
absl::Status RunFromMemory(const std::vector<std::string>& command);
bool RunsFromMemory();

// Calls `work` in a child, which is in all namespaces, the root and the cgroups of the process, has
// its environment, user and groups, and can gain no capability that it could not gain. Returns what
// `work` has. REQUIRES: root, RunsFromMemory, and that this process has no other threads.
// NOT_FOUND: there is no such process. FAILED_PRECONDITION: it has a user namespace of its own,
// where users have other numbers.
absl::StatusOr<int> InContainerOf(pid_t pid, const std::function<int()>& work);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_DOCTOR_ENTER_H_
