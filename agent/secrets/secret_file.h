// Secrets in files.

#ifndef SALLYPORT_AGENT_SECRETS_SECRET_FILE_H_
#define SALLYPORT_AGENT_SECRETS_SECRET_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace sallyport::agent {

// The file's text without the line break at its end. `file` is below `directory`: relative to it,
// or an absolute path that begins with it. No symbolic link, and no `..`, leads out of it, so that
// whoever may register a handler cannot have root read any file. The error is half a sentence that
// quotes nothing of the file.
absl::StatusOr<std::string> ReadSecretFile(const std::string& directory, const std::string& file);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_SECRETS_SECRET_FILE_H_
