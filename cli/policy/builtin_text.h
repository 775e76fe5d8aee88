// A built-in handler on a command line.

#ifndef SALLYPORT_CLI_POLICY_BUILTIN_TEXT_H_
#define SALLYPORT_CLI_POLICY_BUILTIN_TEXT_H_

#include <string>

#include "absl/status/statusor.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport::cli {

// As behind `builtin:` in a policy file; JSON is YAML too. Whether the values are legal is not
// looked at. INVALID_ARGUMENT has a line for each problem: "LINE:COLUMN: what is wrong".
absl::StatusOr<v1::Builtin> ParseBuiltin(const std::string& text);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_POLICY_BUILTIN_TEXT_H_
