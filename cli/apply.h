// Brings the control plane to what a policy file says.

#ifndef SALLYPORT_CLI_APPLY_H_
#define SALLYPORT_CLI_APPLY_H_

#include <functional>
#include <string>

#include "cli/connection.h"
#include "cli/policy_file.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport::cli {

// Handlers first, then classes, then containers, in the file's order; stops at the first error.
// Returns the exit status, and reports errors on stderr. `done` is called after each change with
// what was changed.
int ApplyPolicyFile(
    const Connection& connection, const PolicyFile& file, const v1::MutationOptions& options,
    const std::function<void(const std::string& what, const v1::MutationResult& result)>& done);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_APPLY_H_
