// Values of a policy file, checked as the control plane does before it stores them.

#ifndef SALLYPORT_CLI_POLICY_CHECK_H_
#define SALLYPORT_CLI_POLICY_CHECK_H_

#include "cli/policy/field_reader.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport::cli {

void Check(const v1::Handler& handler, const FieldMarks& marks, yaml::Problems* problems);
void Check(const v1::ContainerClass& value, const FieldMarks& marks, yaml::Problems* problems);
void Check(const v1::ContainerPolicy& value, const FieldMarks& marks, yaml::Problems* problems);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_POLICY_CHECK_H_
