// The files that audit records are written to.

#ifndef SALLYPORT_AGENT_AUDIT_FILE_H_
#define SALLYPORT_AGENT_AUDIT_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// Opens a file (made with mode 0600 if it is not there), FIFO, terminal, /dev/null or
// /proc/PID/fd/N for appending. FIFOs and terminals are non-blocking: who does not read does not
// stop the proxy. `field` is how messages name the path. FAILED_PRECONDITION for a FIFO that nobody
// reads, INVALID_ARGUMENT for what cannot be appended to.
absl::StatusOr<UniqueFd> OpenAuditFile(std::string_view field, const std::string& path);

// This program's standard output: what an init system made of it (the journal's socket), a pipe, a
// file, a terminal. Pipes and sockets are non-blocking from here on, so that who does not read does
// not stop the proxy.
absl::StatusOr<UniqueFd> StdoutForAudit();

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_AUDIT_FILE_H_
