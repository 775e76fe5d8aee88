// The folder on the host that sandboxes mount their certificates over.

#ifndef SALLYPORT_CLI_RUN_CERTIFICATE_FOLDER_H_
#define SALLYPORT_CLI_RUN_CERTIFICATE_FOLDER_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::cli {

// Is there while any sandbox of this host needs it, and not longer, save after a SIGKILL: then
// until the next one ends. To remove a mount point takes what others have mounted on it away from
// them, in every namespace, so each user holds a shared lock (flock) on the folder, and who ends
// removes it if nobody else does. A process that is forked meanwhile holds the lock, too.
class CertificateFolder {
 public:
  // `path` is made, with the folders above it. UNAVAILABLE if that cannot be.
  static absl::StatusOr<CertificateFolder> Make(const std::string& path);
  CertificateFolder(CertificateFolder&&) = default;
  CertificateFolder& operator=(CertificateFolder&&) = delete;
  // Removes it if it is empty and nobody else holds it. Folders above that it made go, too, if they
  // are empty.
  ~CertificateFolder();

 private:
  CertificateFolder(std::string path, bool made_parent, UniqueFd folder);

  std::string path_;
  bool made_parent_;
  UniqueFd folder_;  // Locked.
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_CERTIFICATE_FOLDER_H_
