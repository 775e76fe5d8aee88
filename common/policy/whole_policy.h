// A policy given as one request: handlers, classes and containers together.

#ifndef SALLYPORT_COMMON_POLICY_WHOLE_POLICY_H_
#define SALLYPORT_COMMON_POLICY_WHOLE_POLICY_H_

#include "common/policy/problems.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport {

// Validates and normalises everything in it in place. Paths are as `classes[2].denied_hosts[0]`.
// What one name is given twice for is a problem, too. What the request refers to (handlers,
// classes) is not looked at: the store may have it. A request that has a problem is of no use
// afterwards.
void NormalisePolicy(v1::ApplyPolicyRequest* request, Problems* problems);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_WHOLE_POLICY_H_
