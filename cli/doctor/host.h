// What an agent needs of its host.

#ifndef SALLYPORT_CLI_DOCTOR_HOST_H_
#define SALLYPORT_CLI_DOCTOR_HOST_H_

#include <string_view>
#include <vector>

#include "cli/doctor/finding.h"

namespace sallyport::cli {

// `release` as uname gives it.
Finding CheckKernel(std::string_view release);
// Kernel, proxy's user, roots, and that network namespaces and transparent sockets can be made.
std::vector<Finding> CheckHost();

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_DOCTOR_HOST_H_
