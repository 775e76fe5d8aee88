// What sallyportd is told on its command line. There is no other configuration.

#ifndef SALLYPORT_CONTROLPLANE_CONFIG_H_
#define SALLYPORT_CONTROLPLANE_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/listen_address.h"

namespace sallyport {

struct Config {
  std::string state_dir;
  std::vector<ListenAddress> listen;
  std::string tls_dir;  // Empty: no TLS.
  std::string metrics;  // ADDRESS:PORT; empty: none are served.
};

// Of the arguments after the program's name. --help, --version and errors end the program (0, 0,
// 2).
Config ConfigFromFlagsOrExit(const std::vector<std::string>& arguments);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_CONFIG_H_
