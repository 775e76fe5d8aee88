// The class that a command runs under.

#ifndef SALLYPORT_CLI_RUN_RUN_POLICY_H_
#define SALLYPORT_CLI_RUN_RUN_POLICY_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "cli/connection.h"
#include "cli/run/options.h"

namespace sallyport::cli {

// A class named by --class or in a policy file, or one made for this command and deleted with this
// object.
class RunPolicy {
 public:
  // By the control plane of `options.common`.
  static absl::StatusOr<std::unique_ptr<RunPolicy>> Prepare(const RunOptions& options);
  ~RunPolicy();
  RunPolicy(const RunPolicy&) = delete;
  RunPolicy& operator=(const RunPolicy&) = delete;

  const std::string& class_name() const { return class_name_; }
  // This command's own, of this class: until then a container of that id is somebody else's.
  void Attached(std::string container_id) { container_id_ = std::move(container_id); }

 private:
  RunPolicy(CommonFlags common, std::string class_name, bool ephemeral);

  const CommonFlags common_;
  const std::string class_name_;
  const bool ephemeral_;
  std::string container_id_;  // Empty: none is attached.
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_RUN_POLICY_H_
