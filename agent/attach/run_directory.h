// The directory in which the host finds containers' CA certificates, and handlers put their
// sockets.

#ifndef SALLYPORT_AGENT_ATTACH_RUN_DIRECTORY_H_
#define SALLYPORT_AGENT_ATTACH_RUN_DIRECTORY_H_

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "agent/attach/ca.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

//   PATH/containers/ID/ca.crt    0644, PEM
//   PATH/handlers                the operator's to open to handlers
//
// The certificates' keys are in no file. PATH itself is locked for as long as the object lives
// (flock(2)).
// Thread-safe for different container ids.
class RunDirectory {
 public:
  // Makes the directory if need be, and removes what an agent before this one left in it, but for
  // the containers in `kept`. FAILED_PRECONDITION, and nothing is removed, if another agent has it.
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
  RunDirectory(std::string containers, UniqueFd lock)
      : containers_(std::move(containers)), lock_(std::move(lock)) {}
  std::string DirectoryOf(std::string_view container_id) const;

  const std::string containers_;
  const UniqueFd lock_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_RUN_DIRECTORY_H_
