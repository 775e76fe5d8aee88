// What the control plane holds, as a policy file.

#ifndef SALLYPORT_CLI_EXPORT_H_
#define SALLYPORT_CLI_EXPORT_H_

#include <string>

#include "cli/connection.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport::cli {

// Which part. Both empty: everything.
struct ExportFilter {
  // This class, its containers, and the handlers that they name.
  std::string class_name;
  // This container, its class, and the handlers that they name.
  std::string container_id;
};

// Handlers, classes and containers as ApplyPolicy takes them, each sorted by name. kDone, or
// another exit status after the error was reported on stderr.
int Export(const Connection& connection, const ExportFilter& filter,
           v1::ApplyPolicyRequest* policy);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_EXPORT_H_
