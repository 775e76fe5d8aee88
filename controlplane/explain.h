// Why a request of a container would be decided as it is.

#ifndef SALLYPORT_CONTROLPLANE_EXPLAIN_H_
#define SALLYPORT_CONTROLPLANE_EXPLAIN_H_

#include "absl/status/statusor.h"
#include "controlplane/store/state.h"
#include "controlplane/waiters.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport {

// By the policy that is stored. What operators opened on the agents (`--open-range`) is not known
// here: those addresses count as forbidden. INVALID_ARGUMENT names the field and says what to write
// instead; NOT_FOUND: no such container or class.
absl::StatusOr<v1::ExplainResponse> Explain(const State& state, const Waiters& waiters,
                                            const v1::ExplainRequest& request);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_EXPLAIN_H_
