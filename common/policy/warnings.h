// What is legal in a class but probably not meant.

#ifndef SALLYPORT_COMMON_POLICY_WARNINGS_H_
#define SALLYPORT_COMMON_POLICY_WARNINGS_H_

#include <string>
#include <vector>

#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// One sentence each, for the operator. REQUIRES: the class is normalised.
std::vector<std::string> ClassWarnings(const v1::ContainerClass& container_class);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_WARNINGS_H_
