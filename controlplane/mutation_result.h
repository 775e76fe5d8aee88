// What a call that changed policy answers.

#ifndef SALLYPORT_CONTROLPLANE_MUTATION_RESULT_H_
#define SALLYPORT_CONTROLPLANE_MUTATION_RESULT_H_

#include <cstdint>

#include "controlplane/waiters.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport {

v1::MutationResult ToResult(uint64_t revision, const Waiters::Outcome& outcome);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_MUTATION_RESULT_H_
