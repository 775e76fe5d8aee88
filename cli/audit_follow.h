// Audit records as the control plane has them from the agents.

#ifndef SALLYPORT_CLI_AUDIT_FOLLOW_H_
#define SALLYPORT_CLI_AUDIT_FOLLOW_H_

#include "cli/connection.h"
#include "proto/sallyport/v1/audit_stream.pb.h"

namespace sallyport::cli {

// Prints records from now on, and where some are missing, until the control plane refuses. One
// that goes away is waited for. Returns the exit status.
int FollowAudit(const CommonFlags& flags, const v1::AuditFilter& filter);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_AUDIT_FOLLOW_H_
