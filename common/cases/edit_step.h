// A step of a case, applied to a container's rules by the functions that the control plane's calls
// use.

#ifndef SALLYPORT_COMMON_CASES_EDIT_STEP_H_
#define SALLYPORT_COMMON_CASES_EDIT_STEP_H_

#include "absl/status/status.h"
#include "common/cases/case.h"
#include "common/policy/edits.h"

namespace sallyport::cases {

// UNIMPLEMENTED for a call that is not known.
absl::Status ApplyStep(const PolicyContext& context, const Step& step, v1::ContainerPolicy* policy);

}  // namespace sallyport::cases

#endif  // SALLYPORT_COMMON_CASES_EDIT_STEP_H_
