// Brings the control plane to what policy files say, by one call.

#ifndef SALLYPORT_CLI_APPLY_H_
#define SALLYPORT_CLI_APPLY_H_

#include <string>
#include <string_view>

#include "cli/connection.h"
#include "cli/policy/policy_file.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport::cli {

enum class ApplyMode { kApply, kDryRun };

// All of the file or nothing. kDone and the response, or another exit status after the error was
// reported on stderr.
int ApplyPolicyFile(const Connection& connection, const PolicyFile& file, ApplyMode mode,
                    const v1::MutationOptions& options, v1::ApplyPolicyResponse* response);

// A refusal of the control plane has a line for each field of the request that is wrong, as
// "classes[0].outbound.handler: …". Puts before it where that field is written.
std::string WithPlaces(const PolicyFile& file, std::string_view message);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_APPLY_H_
