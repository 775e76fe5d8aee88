// Policy as a file: handlers, classes and containers in YAML. docs/policy-files.md has the format.

#ifndef SALLYPORT_CLI_POLICY_POLICY_FILE_H_
#define SALLYPORT_CLI_POLICY_POLICY_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/policy/field_reader.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport::cli {

// A handler, class or container, and where it is written.
template <typename T>
struct Written {
  T value;
  std::string file;
  FieldMarks marks;
};

struct PolicyFile {
  // As written: patterns are legal, but not brought to their canonical text.
  std::vector<Written<v1::Handler>> handlers;
  std::vector<Written<v1::ContainerClass>> classes;
  std::vector<Written<v1::ContainerPolicy>> containers;
};

// Field names as in the API (policy.proto). Values are checked by the code that the control plane
// checks with. INVALID_ARGUMENT has a line for each problem: "FILE:LINE:COLUMN: what is wrong".
absl::StatusOr<PolicyFile> ParsePolicyFile(const std::string& text, const std::string& file_name);

// The files together; `-` is stdin. What is in two of them is a problem.
absl::StatusOr<PolicyFile> ReadPolicyFiles(const std::vector<std::string>& paths);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_POLICY_POLICY_FILE_H_
