// `sallyport doctor`.

#ifndef SALLYPORT_CLI_DOCTOR_DOCTOR_H_
#define SALLYPORT_CLI_DOCTOR_DOCTOR_H_

#include <vector>

namespace sallyport::cli {

struct Command;

void AddDoctorCommand(std::vector<Command>* commands);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_DOCTOR_DOCTOR_H_
