// Validation that finds every wrong field. The same as NormaliseClass and its like in
// effective_policy.h, which make one status of it.

#ifndef SALLYPORT_COMMON_POLICY_NORMALISE_H_
#define SALLYPORT_COMMON_POLICY_NORMALISE_H_

#include <string_view>

#include "common/policy/problems.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// Paths of problems begin with `path`, as "classes[2]" (empty: with the field). A value that has a
// problem is of no use afterwards.
void NormaliseClass(std::string_view path, v1::ContainerClass* container_class, Problems* problems);
void NormaliseContainer(std::string_view path, v1::ContainerPolicy* container, Problems* problems);
void NormaliseHandler(std::string_view path, v1::Handler* handler, Problems* problems);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_NORMALISE_H_
