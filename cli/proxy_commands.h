// What is done to this host's proxy.

#ifndef SALLYPORT_CLI_PROXY_COMMANDS_H_
#define SALLYPORT_CLI_PROXY_COMMANDS_H_

#include <vector>

#include "cli/command.h"

namespace sallyport::cli {

void AddProxyCommands(std::vector<Command>* commands);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_PROXY_COMMANDS_H_
