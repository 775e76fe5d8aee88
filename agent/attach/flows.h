// Connection tracking's table of flows.

#ifndef SALLYPORT_AGENT_ATTACH_FLOWS_H_
#define SALLYPORT_AGENT_ATTACH_FLOWS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace sallyport::agent {

// Deletes the flows of the calling thread's namespace that lead to one of these addresses: whoever
// had it before answered in them, and the next one is not to carry them on.
absl::Status ForgetFlowsTo(const std::vector<std::string>& addresses);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_FLOWS_H_
