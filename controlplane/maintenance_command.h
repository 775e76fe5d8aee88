// `sallyportd backup` and `sallyportd restore`: of a control plane that runs, or of the state
// directory of one that does not.

#ifndef SALLYPORT_CONTROLPLANE_MAINTENANCE_COMMAND_H_
#define SALLYPORT_CONTROLPLANE_MAINTENANCE_COMMAND_H_

#include <string>
#include <vector>

namespace sallyport {

// Whether the arguments after the program's name are of such a command.
bool IsMaintenanceCommand(const std::vector<std::string>& arguments);

// Runs it; returns the exit status: 0, 1 (an error, said on stderr) or 2 (wrong arguments).
int RunMaintenanceCommand(const std::vector<std::string>& arguments);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_MAINTENANCE_COMMAND_H_
