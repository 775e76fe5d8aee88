// A step of a case, applied to a container's rules by the functions that the control plane's calls
// use.

#ifndef SALLYPORT_TESTS_CONFORMANCE_EDIT_STEP_H_
#define SALLYPORT_TESTS_CONFORMANCE_EDIT_STEP_H_

#include "absl/status/status.h"
#include "common/policy/edits.h"
#include "tests/conformance/cases.h"

namespace sallyport::conformance {

// UNIMPLEMENTED for a call that is not known.
absl::Status ApplyStep(const PolicyContext& context, const Step& step, v1::ContainerPolicy* policy);

}  // namespace sallyport::conformance

#endif  // SALLYPORT_TESTS_CONFORMANCE_EDIT_STEP_H_
