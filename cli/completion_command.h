// The command that completes all others, and so is no part of cli/command.h's list.

#ifndef SALLYPORT_CLI_COMPLETION_COMMAND_H_
#define SALLYPORT_CLI_COMPLETION_COMMAND_H_

#include <vector>

namespace sallyport::cli {

struct Command;

// REQUIRES: all others have been added.
void AddCompletionCommand(std::vector<Command>* commands);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_COMPLETION_COMMAND_H_
