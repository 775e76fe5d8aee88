// `sallyport handler register`.

#ifndef SALLYPORT_CLI_HANDLER_REGISTER_H_
#define SALLYPORT_CLI_HANDLER_REGISTER_H_

#include "cli/command.h"

namespace sallyport::cli {

int RegisterHandler(const Arguments& arguments);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_HANDLER_REGISTER_H_
