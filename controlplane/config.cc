#include "controlplane/config.h"

#include <cstdio>
#include <cstdlib>

#include "common/base/strings.h"
#include "common/base/version.h"
#include "common/flags/flags.h"
#include "common/metrics/status_server.h"

namespace sallyport {

Config ConfigFromFlagsOrExit(const std::vector<std::string>& arguments) {
  Config config;
  config.state_dir = "/var/lib/sallyport";
  std::vector<std::string> listen = {"unix:/run/sallyport/controlplane.sock"};

  FlagSet flags("sallyportd",
                "Sallyport's control plane: stores classes, containers' rules and handlers, and "
                "pushes them to the agents. `sallyportd backup` and `sallyportd restore` copy what "
                "it stores; see their --help.");
  flags.String("state-dir", &config.state_dir, "DIR",
               "Where the store lives; made with mode 0700 if it is not there.");
  flags.StringList("listen", &listen, "ADDRESS",
                   "unix:/path or HOST:PORT (port 0: any free one). Without --tls-dir HOST must be "
                   "loopback. Repeatable.");
  flags.String(
      "tls-dir", &config.tls_dir, "DIR",
      "tls.crt, tls.key, ca.crt of role server (`sallyport pki issue server`), and crl.pem "
      "if there is one: HOST:PORT addresses are then served with mutual TLS. Read anew when "
      "they change.");
  flags.String("metrics", &config.metrics, "ADDRESS:PORT",
               "Serves /metrics (Prometheus), /healthz and /readyz there over plain HTTP: "
               "127.0.0.1:9465, or "
               "another port of loopback. Default: nowhere.");
  flags.set_example(
      "sallyportd --state-dir /var/lib/sallyport --listen unix:/run/sallyport/controlplane.sock "
      "--listen 0.0.0.0:7443 --tls-dir /etc/sallyport/tls");
  flags.set_version(StrCat("sallyportd ", kVersion));
  flags.ParseOrExit(arguments);

  const auto usage_error = [](const std::string& message) {
    std::fprintf(stderr, "sallyportd: %s\nTry: sallyportd --help\n", message.c_str());
    std::exit(2);
  };
  if (!config.metrics.empty()) {
    const absl::Status status = CheckStatusAddress("--metrics", config.metrics);
    if (!status.ok()) usage_error(std::string(status.message()));
  }
  if (config.state_dir.empty()) usage_error("--state-dir is empty; write a directory");
  for (const std::string& text : listen) {
    const absl::StatusOr<ListenAddress> address =
        ListenAddress::Parse(text, config.tls_dir.empty() ? ListenAddress::Reach::kThisMachine
                                                          : ListenAddress::Reach::kAnywhere);
    if (!address.ok()) usage_error(std::string(address.status().message()));
    config.listen.push_back(*address);
  }
  return config;
}

}  // namespace sallyport
