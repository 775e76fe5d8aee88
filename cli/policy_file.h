// Policy as a file: handlers, classes and containers in YAML.

#ifndef SALLYPORT_CLI_POLICY_FILE_H_
#define SALLYPORT_CLI_POLICY_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport::cli {

struct PolicyFile {
  std::vector<v1::Handler> handlers;
  std::vector<v1::ContainerClass> classes;
  // Only what the file says; `container_id` and `class_name` are set.
  std::vector<v1::ContainerPolicy> containers;
};

// Field names as in the API (policy.proto), unknown ones refused. INVALID_ARGUMENT:
// "FILE:LINE:COLUMN: what is wrong". Values are checked by the control plane.
absl::StatusOr<PolicyFile> ParsePolicyFile(const std::string& text, const std::string& file_name);
absl::StatusOr<PolicyFile> ReadPolicyFile(const std::string& path);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_POLICY_FILE_H_
