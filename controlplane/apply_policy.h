// ApplyPolicy: a whole policy in one transaction, and what that changes.

#ifndef SALLYPORT_CONTROLPLANE_APPLY_POLICY_H_
#define SALLYPORT_CONTROLPLANE_APPLY_POLICY_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "controlplane/concern.h"
#include "controlplane/store/transaction.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport {

// Puts the request's handlers, classes and containers. FAILED_PRECONDITION for a container of
// another class, NOT_FOUND for a class or handler that neither the store nor the request has, with
// a line for each. REQUIRES: normalised (common/policy/whole_policy.h).
absl::Status PutPolicy(const v1::ApplyPolicyRequest& request, Transaction* transaction);

// What the request names: handlers, classes, containers, each in its order.
std::vector<ResourceId> ResourcesOf(const v1::ApplyPolicyRequest& request);

// Adds what became of each of them between two states.
void AddChanges(const v1::ApplyPolicyRequest& request, const State& before, const State& after,
                v1::ApplyPolicyResponse* response);

// Leaves out what resources were and are if the answer would be larger than 3 MiB: gRPC's clients
// take 4 MiB unless told otherwise, and an answer that does not arrive is no answer.
void Shorten(v1::ApplyPolicyResponse* response);

// A dry run's revisions after `present` are not to come: they go to whoever changes something
// first.
void ForgetRevisionsAfter(uint64_t present, v1::ApplyPolicyResponse* response);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_APPLY_POLICY_H_
