// Where the agent keeps what must not outlive the machine's memory: containers' CA keys.

#ifndef SALLYPORT_AGENT_ATTACH_RUN_DIRECTORY_H_
#define SALLYPORT_AGENT_ATTACH_RUN_DIRECTORY_H_

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "agent/attach/ca.h"

namespace sallyport::agent {

//   PATH/containers/ID/ca.crt    0644, PEM
//   PATH/containers/ID/ca.key    0600, PEM
//
// Thread-safe for different container ids.
class RunDirectory {
 public:
  // Makes the directory if need be, and removes what an agent before this one left in it, but for
  // the containers in `kept`. If `path` is not in memory, a tmpfs is mounted over PATH/containers
  // for the lifetime of this object.
  static absl::StatusOr<std::unique_ptr<RunDirectory>> Open(const std::string& path,
                                                            const std::set<std::string>& kept = {});
  // Removes every container's files.
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  // REQUIRES: `container_id` is valid (ValidateContainerId).
  absl::Status Store(std::string_view container_id, const CertificateAuthority& authority);
  void Destroy(std::string_view container_id);

 private:
  RunDirectory(std::string containers, bool mounted)
      : containers_(std::move(containers)), mounted_(mounted) {}
  std::string DirectoryOf(std::string_view container_id) const;

  const std::string containers_;
  const bool mounted_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_RUN_DIRECTORY_H_
